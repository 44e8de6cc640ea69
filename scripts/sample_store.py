"""Makes a small store to look at: one image of four layers and one container, by our own library.

    python scripts/sample_store.py GRAPHROOT RUNROOT

Used by: scripts/run, tests. What is there already is left as it is.
"""

import io
import os
import sys
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final

from backend import ContainerUnknownError, ImageUnknownError, Store, open_store
from backend.codec import gojson
from backend.config import load_options
from drivers.errors import StorageError

IMAGE: Final = "localhost/sample:1"
CONTAINER: Final = "sample"
_CREATED: Final = "2026-01-01T00:00:00Z"
_MTIME: Final = 1_767_225_600


@dataclass(frozen=True, slots=True)
class Step:
    """One build step: what its layer adds or changes, and what it removes."""

    command: str
    files: Mapping[str, str]
    removed: Sequence[str] = ()


STEPS: Final = (
    Step(
        "COPY base /",
        {
            "etc/os-release": 'NAME="Sample"\nVERSION="1"\n',
            "etc/motd": "Welcome.\n",
            "etc/app.conf": "port = 80\n",
            "usr/share/doc/base/readme": "The base of the sample.\n",
        },
    ),
    Step(
        "RUN build the application",
        {
            "usr/bin/hello": '#!/bin/sh\necho "hello from ${0}"\n',
            "srv/index.html": "<h1>It works</h1>\n",
            "var/log/build.log": "compiling\n" * 500,
            "var/cache/build/object": "0" * 5000,
        },
    ),
    Step(
        "RUN configure and tidy up",
        {"etc/app.conf": "port = 8080\nworkers = 2\n"},
        removed=("var/log/build.log", "var/cache/build"),
    ),
    Step(
        "COPY page /srv/",
        {"srv/index.html": "<h1>It really works</h1>\n", "srv/style.css": "h1 { color: teal }\n"},
        removed=("etc/motd",),
    ),
)


def make(store: Store) -> None:
    """Make what is not there yet."""
    try:
        store.images.find(IMAGE)
    except ImageUnknownError:
        _make_image(store)
    try:
        store.containers.find(CONTAINER)
    except ContainerUnknownError:
        store.containers.create(names=[CONTAINER], image=IMAGE)
        root = Path(store.mounts.mount(CONTAINER))
        try:
            (root / "srv/visitors").write_text("1\n")
            (root / "srv/style.css").unlink()
        finally:
            store.mounts.unmount(CONTAINER)


def _make_image(store: Store) -> None:
    archives = [_archive(step) for step in STEPS]
    parent: str | None = None
    for archive in archives:
        parent = store.layers.put(io.BytesIO(archive), parent=parent).id
    config = gojson.encode(_config(archives))
    manifest = gojson.encode(_manifest(config, archives))
    store.images.create(
        id=sha256(config).hexdigest(),
        names=[IMAGE, "localhost/sample:latest"],
        layer=parent,
        created=_CREATED,
        digest=_digest(manifest),
        big_data=[
            (_digest(config), config, None),
            (f"manifest-{_digest(manifest)}", manifest, None),
            ("manifest", manifest, None),
        ],
    )


def _archive(step: Step) -> bytes:
    """The layer: directories, what is removed, files."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name in _directories(step):
            archive.addfile(_member(name, tarfile.DIRTYPE, 0o755))
        for name in step.removed:
            directory, base = os.path.split(name)
            archive.addfile(_member(f"{directory}/.wh.{base}", tarfile.REGTYPE, 0o644))
        for name, text in step.files.items():
            member = _member(name, tarfile.REGTYPE, 0o755 if "/bin/" in name else 0o644)
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text.encode()))
    return buffer.getvalue()


def _directories(step: Step) -> Sequence[str]:
    """The directories above all that a step touches, each after its parent."""
    found = set()
    for name in (*step.files, *step.removed):
        while name := os.path.dirname(name):
            found.add(name)
    return sorted(found)


def _member(name: str, kind: bytes, mode: int) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.mode, member.mtime = kind, mode, _MTIME
    return member


def _digest(data: bytes) -> str:
    return f"sha256:{sha256(data).hexdigest()}"


def _config(archives: Sequence[bytes]) -> Mapping[str, object]:
    return {
        "architecture": "amd64",
        "config": {"Cmd": ["/usr/bin/hello"], "WorkingDir": "/srv"},
        "created": _CREATED,
        "history": [{"created": _CREATED, "created_by": step.command} for step in STEPS],
        "os": "linux",
        "rootfs": {"diff_ids": [_digest(archive) for archive in archives], "type": "layers"},
    }


def _manifest(config: bytes, archives: Sequence[bytes]) -> Mapping[str, object]:
    return {
        "config": _descriptor("config.v1+json", config),
        "layers": [_descriptor("layer.v1.tar", archive) for archive in archives],
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "schemaVersion": 2,
    }


def _descriptor(kind: str, data: bytes) -> Mapping[str, object]:
    media_type = f"application/vnd.oci.image.{kind}"
    return {"digest": _digest(data), "mediaType": media_type, "size": len(data)}


def main() -> int:
    """Make the sample at the places that the command line names."""
    graph_root, run_root = sys.argv[1:]
    try:
        with open_store(load_options(graph_root=graph_root, run_root=run_root)) as store:
            make(store)
    except StorageError as error:
        print(f"sample store: {error}; {error.remedy}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
