#!/usr/bin/env python3
"""Make the recorded stores of tests/golden anew with the Go tools that are installed here.

Used by: people, after a new version of the tools came. Only the record files (JSON) are kept, no
content; IDs and times differ in each recording, which no test minds. The hand-made folder
``newer-writers`` is left alone.
"""

import json
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.support import mounttable, ociimage
from tests.support.gotools import GoTools, Roots

GOLDEN = Path(__file__).resolve().parents[1] / "tests" / "golden"
HARD_TEXT = '<a href="x">& \u2028\u2029 tab\t newline\n \\ \u00e9 \U0001f600 \x7f\x01'
MAP = "0:100000:65536"
LAYOUT = ([ociimage.Entry("a", b"a\n"), ociimage.Entry("d")], [ociimage.Entry("d/b", b"b\n")])


def empty(go: GoTools) -> None:
    """What merely opening leaves, and a layer that came and went."""
    layer = go.storage("create-layer").split()[0]
    go.storage("delete-layer", layer)


def layers(go: GoTools) -> None:
    """A chain with names, texts, labels, data items, ID maps and a digest."""
    base = go.storage("create-layer", "-n", "base", "-n", HARD_TEXT, "--readonly").split()[0]
    child = go.storage("create-layer", "-l", "system_u:object_r:file_t:s0:c1,c2", base).split()[0]
    go.storage("set-metadata", "-m", HARD_TEXT, child)
    for key in ("plain.key", "Key-With:Odd=Parts"):
        go.run("containers-storage", "set-layer-data", child, key, stdin=b"data of the layer\n")
    go.storage("create-layer", "-n", "shifted", "--uidmap", MAP, "--gidmap", MAP)
    tar = ociimage.layer_tar(LAYOUT[0])
    go.storage("import-layer", "-n", "imported", stdin=tar)


def images(go: GoTools) -> None:
    """Images that skopeo copied and that were put together by hand."""
    with tempfile.TemporaryDirectory() as layout:
        ociimage.write_layout(Path(layout), LAYOUT)
        go.skopeo("copy", "-q", f"oci:{layout}", go.image("docker.io/library/golden:1"))
    go.storage("add-names", "-n", "localhost/second/name:latest", "docker.io/library/golden:1")
    layer = go.storage("create-layer").split()[0]
    image = go.storage("create-image", "-n", "by-hand", "-m", HARD_TEXT, layer).split()[0]
    go.storage("set-image-data", image, "Some=Data", stdin=b"data of the image\n")
    go.storage("create-image", "")


def containers(go: GoTools) -> None:
    """Containers with and without image, name, ID maps and data; one of them mounted."""
    images(go)
    name = "docker.io/library/golden:1"
    go.storage("create-container", "-n", "plain", "-n", "second-name", "-m", HARD_TEXT, name)
    go.storage("create-container", "-n", "shifted", "--uidmap", MAP, "--gidmap", MAP, name)
    go.storage("create-container", "-n", "volatile", "--volatile", name)
    go.storage("create-container", "")
    go.storage("set-container-data", "plain", "Data:Key", stdin=b"data of the container\n")
    go.storage("mount", "plain")
    go.storage("mount", "plain")


def buildah(go: GoTools) -> None:
    """A working container of buildah, and the image that it was committed to."""
    container = go.buildah("from", "scratch")
    Path(go.buildah("mount", container), "file").write_text("built\n")
    go.buildah("config", "--cmd", '["/file"]', "--env", "A=b", container)
    go.buildah("commit", "--quiet", container, "localhost/built:1")


SCENARIOS: dict[str, tuple[str, Callable[[GoTools], None]]] = {
    "empty": ("overlay", empty),
    "layers": ("overlay", layers),
    "images": ("overlay", images),
    "containers": ("overlay", containers),
    "buildah": ("overlay", buildah),
    "vfs-containers": ("vfs", containers),
}


def record(name: str, driver: str, scenario: Callable[[GoTools], None]) -> None:
    """Play one scenario and keep its record files."""
    # Always the same place: mountpoints.json holds absolute paths.
    work = Path(tempfile.gettempdir(), f"storagefs-golden-{name}")
    shutil.rmtree(work, ignore_errors=True)  # noqa: TID251 - our own scratch, nothing mounted
    go = GoTools(Roots(work / "graph", work / "run"), driver)
    target = GOLDEN / name
    shutil.rmtree(target, ignore_errors=True)  # noqa: TID251 - a recording, made anew here
    try:
        scenario(go)
        for file in sorted(work.glob("*/*/*.json")):
            kept = target / file.relative_to(work)
            kept.parent.mkdir(parents=True, exist_ok=True)
            kept.write_bytes(file.read_bytes())
            json.loads(kept.read_bytes())
    finally:
        mounttable.unmount_below(work)
    shutil.rmtree(work)  # noqa: TID251 - unmounted just now


def main() -> None:
    """Record every scenario."""
    for name, (driver, scenario) in SCENARIOS.items():
        record(name, driver, scenario)
        print(f"recorded {name}")


if __name__ == "__main__":
    main()
