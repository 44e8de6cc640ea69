"""podman, buildah and skopeo on a store that storagefs alone made, filled and changed."""

import json
import os
import re
import sys
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from backend import open_store
from backend.model.findings import Depth
from scripts.sample_store import CONTAINER, IMAGE, STEPS, make
from tests.conftest import MountStore
from tests.support import dirimage, mounttable, process, recordcheck, smallstore, wait
from tests.support.gotools import GoTools, Roots
from tests.support.ociimage import Entry, layer_tar

pytestmark = [pytest.mark.root, pytest.mark.overlay, pytest.mark.gotools]

PROJECT = Path(__file__).parents[2]
APP, NEXT = "localhost/shop/app:1", "localhost/shop/app:2"


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A layer with this machine's shell, cat, and the libraries that they need."""
    shell = os.path.realpath("/bin/sh")
    needed = {shell, "/bin/cat"}
    for program in (shell, "/bin/cat"):
        lines = process.run(["ldd", program]).stdout.decode()
        needed.update(re.findall(r"(/\S+) \(0x", lines))
    path = tmp_path_factory.mktemp("programs") / "layer.tar"
    with tarfile.open(path, "w", dereference=True) as tar:
        for name in sorted(needed):
            tar.add(name, recursive=False)
        tar.addfile(Entry("bin/sh", link=shell).header())
    return path.read_bytes()


@pytest.fixture
def archive(programs: bytes, tmp_path: Path) -> Path:
    """An image of two layers, which can run."""
    above = layer_tar(
        [Entry("etc"), Entry("etc/motd", b"hello\n"), Entry("etc/.wh.never", b""), Entry("srv")]
    )
    dirimage.write(tmp_path / "archive", [programs, above])
    return tmp_path / "archive"


@dataclass(frozen=True, slots=True)
class Shell:
    """``storagefs`` as a user calls it: each time a process of its own."""

    roots: Roots
    driver: str

    def __call__(self, *words: str) -> str:
        """Standard output, stripped; anything but exit code 0 fails the test."""
        flags = (f"--graph={self.roots.graph}", f"--run={self.roots.run}")
        command = [sys.executable, "-m", "fusefs.cli", *flags, f"-s={self.driver}", *words]
        done = process.run(command, environment={"PYTHONPATH": os.fspath(PROJECT)})
        return os.fsdecode(done.stdout).strip()


@pytest.fixture(params=["overlay", "vfs"])
def go(request: pytest.FixtureRequest, roots: Roots) -> GoTools:
    return GoTools(roots, driver=request.param, timeout=60)


def check(go: GoTools) -> None:
    """Our deepest look finds nothing wrong."""
    with open_store(smallstore.options(go.roots, go.driver)) as store:
        report = store.check(Depth.FILES)
    assert [finding for finding in report.findings if not finding.is_note] == []


def test_a_day_of_a_user_who_goes_from_tool_to_tool(
    go: GoTools, archive: Path, tmp_path: Path
) -> None:
    storagefs = Shell(go.roots, go.driver)
    storagefs("import", "--name", APP, str(archive))
    assert go.podman("images", "--format", "{{.Repository}}:{{.Tag}}") == APP

    storagefs("create-container", "--name", "work", APP)
    where = Path(storagefs("mount", "work").split()[0])
    (where / "srv/page").write_text("by storagefs\n")
    assert go.storage("mounted", "work").strip() == "work mounted"
    storagefs("unmount", "work")
    listed = go.podman("ps", "-a", "--external", "--format", "{{.Names}} {{.Status}}")
    assert listed == "work Storage"

    made = go.buildah("from", "--pull-never", "--name", "builder", APP)
    source, target = (
        json.loads(storagefs("container", "--json", name))[0]["layer"] for name in ("work", made)
    )
    storagefs("copy", f"{source}:/srv/page", f"{target}:/srv/page")
    where = Path(storagefs("mount", "builder").split()[0])
    (where / "etc/motd").unlink()
    storagefs("unmount", "builder")
    go.buildah("commit", "-q", made, NEXT)
    go.buildah("rm", made)
    assert go.podman_run(
        "--rm", NEXT, "/bin/sh", "-c", "cat /srv/page; test -e /etc/motd || echo gone"
    ) == ("by storagefs\ngone")
    assert storagefs("check") == ""

    exported = tmp_path / "next.tar"
    storagefs("export", NEXT, str(exported))
    listed = go.skopeo("inspect", f"oci-archive:{exported}:{NEXT}").decode()
    theirs = go.skopeo("inspect", go.image(NEXT)).decode()
    assert len(json.loads(listed)["Layers"]) == 3
    assert json.loads(listed)["Layers"] == json.loads(theirs)["Layers"]

    storagefs("delete-container", "work")
    storagefs("delete-image", APP)
    assert len(go.storage_json("layers", "--json")) == 3
    go.podman("rmi", NEXT)
    assert storagefs("gc") == ""
    assert storagefs("storage-layers") == ""
    storagefs("shutdown")
    assert mounttable.below(go.roots.graph) == mounttable.below(go.roots.run) == []


def test_podman_shows_runs_and_commits_what_we_imported(go: GoTools, archive: Path) -> None:
    with open_store(smallstore.options(go.roots, go.driver)) as store:
        (image,) = store.import_images(str(archive), names=(APP,))
        chain = [layer.id for layer in store.snapshot().layers.chain(image.layer)]
        (inspected,) = json.loads(go.podman("inspect", APP))
        assert inspected["Id"] == image.id
        assert inspected["Digest"] == image.digest
        diff_ids = [store.layers.find(layer).diff_digest for layer in reversed(chain)]
        assert inspected["RootFS"]["Layers"] == diff_ids
        tree = go.podman("image", "tree", APP)
        assert [line.split()[2] for line in tree.splitlines() if "─ ID" in line] == [
            layer[:12] for layer in reversed(chain)
        ]
        assert go.podman("history", "--format", "{{.CreatedBy}}", APP).split("\n") == [
            "layer 1",
            "layer 0",
        ]

        created = go.podman("create", "--name", "web", "--network=none", APP)
        assert store.containers.find("web").id == created
        merged = Path(store.mounts.mount("web"))
        (merged / "srv/ours").write_text("put there by us\n")
        assert store.mounts.unmount("web")
        assert "A /srv/ours" in go.podman("diff", "web").splitlines()
        go.podman("commit", "-q", "web", NEXT)
        assert go.podman_run("--name", "ran", NEXT, "cat", "/srv/ours") == "put there by us"
        assert store.mounts.count(store.containers.find("ran").layer) == 0
        check(go)
        go.podman("rm", "-a")
        assert store.snapshot().containers.records == ()
        store.images.delete(NEXT)
        assert {layer.id for layer in store.snapshot().layers} == set(chain)
        check(go)


def test_what_buildah_and_podman_make_is_in_our_tree(
    archive: Path, roots: Roots, mount_store: MountStore
) -> None:
    go = GoTools(roots)
    with open_store(smallstore.options(roots)) as store:
        store.import_images(str(archive), names=(APP,))
    mounted = mount_store(roots)
    (mounted.where / "images" / APP / "containers" / "mine").mkdir()
    (mounted.where / "containers/mine/rootfs/etc/motd").write_text("changed in the tree\n")
    assert go.podman("ps", "-a", "--external", "--format", "{{.Names}}") == "mine"
    go.buildah("from", "--pull-never", "--name", "builder", APP)
    mine = mounted.where / "containers/mine/rootfs/etc/motd"
    go.buildah("copy", "-q", "builder", str(mine), "/etc/motd")
    go.buildah("commit", "-q", "builder", NEXT)
    root = mounted.where / "images" / NEXT / "rootfs"
    wait.until(root.exists, 5, "the image that buildah made is there")
    assert (root / "etc/motd").read_text() == "changed in the tree\n"
    go.podman_run("--name", "ran", NEXT, "/bin/sh", "-c", "cat /etc/motd >/srv/copy")
    ran = mounted.where / "containers/ran"
    wait.until(ran.exists, 5, "the container that podman made is there")
    assert (ran / "rootfs/srv/copy").read_text() == "changed in the tree\n"
    go.podman("rm", "ran")
    go.buildah("rm", "builder")
    left = ["by-id", "mine"]
    wait.until(lambda: os.listdir(mounted.where / "containers") == left, 5, "builder is gone")
    (mounted.where / "containers/mine").rmdir()
    mounted.stop()
    check(go)
    assert recordcheck.problems(go) == []


@pytest.fixture
def sample(go: GoTools) -> Iterator[GoTools]:
    """The store that is made to look at."""
    with open_store(smallstore.options(go.roots, go.driver)) as store:
        make(store)
    yield go
    check(go)


def test_podman_and_skopeo_use_the_sample(sample: GoTools, tmp_path: Path) -> None:
    names = json.loads(sample.podman("images", "--format", "json"))[0]["Names"]
    assert set(names) == {IMAGE, "localhost/sample:latest"}
    steps = sample.podman("history", "--format", "{{.CreatedBy}}", "sample").split("\n")
    assert steps == [step.command for step in reversed(STEPS)]
    listed = sample.podman("ps", "-a", "--external", "--format", "{{.Names}}")
    assert listed == CONTAINER
    sample.skopeo("copy", "-q", sample.image(IMAGE), f"dir:{tmp_path / 'copy'}")
    assert dirimage.layer_digests(tmp_path / "copy") == dirimage.diff_ids(tmp_path / "copy")
    sample.podman("create", "--name", "mine", "--network=none", IMAGE)
    where = Path(sample.podman("mount", "mine"))
    assert (where / "srv/index.html").read_text() == STEPS[-1].files["srv/index.html"]
    assert not (where / "etc/motd").exists()
    assert not (where / "var/cache/build").exists()
    sample.podman("umount", "mine")
    sample.podman("rm", "mine")
