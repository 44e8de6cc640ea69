"""Layers for tests of drivers: their content, edits of it, and looks at it.

Used by: tests of drivers, and the comparisons with the Go tools.
Knows nothing of: how a driver stores a layer.
"""

import io
import os
import socket
import stat
from collections.abc import Callable
from pathlib import Path

from drivers.archive.apply import apply
from drivers.archive.unpack import Unpacker, UnpackOptions
from drivers.idmap.maps import IDMap, MapPair
from drivers.ids import LayerID
from drivers.linux import mountinfo
from drivers.protocol import ApplyPlace, Driver, DriverOptions, MountRequest, NewLayer
from drivers.registry import open_driver
from tests.support import ociimage
from tests.support.gotools import Roots

BASE, CHILD, TOP = LayerID("b" * 64), LayerID("c" * 64), LayerID("d" * 64)
NEXT = LayerID("e" * 64)
CAPABILITY = bytes.fromhex("0100000200200000000000000000000000000000")
"""cap_net_raw=ep, as setcap(8) stores it."""


def open_for(roots: Roots, name: str, *options: str, read_only: bool = False) -> Driver:
    """A driver on the test's own roots."""
    return open_driver(
        DriverOptions(
            graph_root=str(roots.graph),
            run_root=str(roots.run),
            name=name,
            options=options,
            read_only=read_only,
        )
    )


def mounts_of(roots: Roots) -> list[mountinfo.MountEntry]:
    """What is mounted on the roots of a test; other tests mount theirs at the same time."""
    places = roots.graph, roots.run
    return [entry for place in places for entry in mountinfo.below(str(place))]


def fill(root: Path) -> None:
    """Give a base layer one of everything."""
    (root / "dir" / "sub").mkdir(parents=True)
    for name in ("file", "other", "dir/file", "dir/sub/file", "name with blank", "ünïcode"):
        (root / name).write_text(name)
    (root / "replaced").mkdir()
    (root / "replaced" / "old").write_text("old")
    (root / "empty").mkdir()
    os.symlink("file", root / "link")
    os.link(root / "file", root / "hard")
    os.mkfifo(root / "fifo")
    os.mknod(root / "null", 0o666 | stat.S_IFCHR, os.makedev(1, 3))
    os.setxattr(root / "other", "user.kept", b"1")
    (root / "setuid").write_text("x")
    (root / "setuid").chmod(0o4755)
    os.chown(root / "dir" / "file", 1000, 1000)


def _replace_directory(root: Path) -> None:
    (root / "replaced" / "old").unlink()
    (root / "replaced").rmdir()
    (root / "replaced").mkdir()
    (root / "replaced" / "new").write_text("new")


def _bind_socket(root: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listening:
        fd = os.open(root, os.O_PATH)
        listening.bind(f"/proc/self/fd/{fd}/socket")
        os.close(fd)


def _directory_becomes_file(root: Path) -> None:
    (root / "dir" / "sub" / "file").unlink()
    (root / "dir" / "sub").rmdir()
    (root / "dir" / "sub").write_text("now a file")


def _file_becomes_directory(root: Path) -> None:
    (root / "file").unlink()
    (root / "file").mkdir()
    (root / "file" / "inside").write_text("x")


EDITS: dict[str, Callable[[Path], object]] = {
    "nothing": lambda _: None,
    "add a file": lambda root: (root / "new").write_text("new"),
    "add a file in a directory": lambda root: (root / "dir" / "sub" / "new").write_text("new"),
    "add a tree": lambda root: (root / "a" / "b" / "c").mkdir(parents=True),
    "write to a file": lambda root: (root / "dir" / "file").write_text("something longer"),
    "delete a file": lambda root: (root / "dir" / "file").unlink(),
    "delete a link": lambda root: (root / "link").unlink(),
    "delete a directory": lambda root: (root / "empty").rmdir(),
    "replace a directory": _replace_directory,
    "directory becomes file": _directory_becomes_file,
    "file becomes directory": _file_becomes_directory,
    "file becomes link": lambda root: ((root / "other").unlink(), (root / "other").symlink_to("x")),
    "rename a file": lambda root: (root / "other").rename(root / "dir" / "renamed"),
    "one more hard link": lambda root: os.link(root / "hard", root / "harder"),
    "write through a hard link": lambda root: (root / "hard").write_text("both names"),
    "a named pipe": lambda root: os.mkfifo(root / "pipe"),
    "a device": lambda root: os.mknod(root / "zero", 0o600 | stat.S_IFCHR, os.makedev(1, 5)),
    "a socket": _bind_socket,
    "mode of a file": lambda root: (root / "dir" / "file").chmod(0o600),
    "mode of a directory": lambda root: (root / "dir").chmod(0o700),
    "owner of a file": lambda root: os.chown(root / "file", 7, 7),
    "only a time": lambda root: os.utime(root / "dir" / "file", (1, 1)),
    "a name with a line feed": lambda root: (root / "a\nb\\c").write_text("x"),
    "a name that is no text": lambda root: Path(os.fsdecode(bytes(root) + b"/\xff")).touch(),
}


def edit_layer(driver: Driver, layer: LayerID, edit: Callable[[Path], object]) -> None:
    """Change a writable layer through its mount."""
    edit(Path(driver.mount(MountRequest(layer=layer))))
    driver.unmount(layer)


def assert_nothing_is_left(driver: Driver) -> None:
    """No place where things are made or erased has anything in it."""
    for name in ("staging", "tempdirs"):
        assert not os.path.exists(os.path.join(driver.home, name))


def archive(*entries: ociimage.Entry) -> bytes:
    """An uncompressed archive, as a layer comes from a registry."""
    return ociimage.layer_tar(entries)


def unpack(place: ApplyPlace, content: bytes) -> None:
    """Unpack an archive in the place that a driver gave."""
    options = UnpackOptions(xattr_prefix=place.xattr_prefix)
    with Unpacker(place.root, whiteouts=place.whiteouts, options=options) as sink:
        apply(io.BytesIO(content), sink, io.BytesIO())


def show(driver: Driver, layer: LayerID) -> dict[str, str]:
    """The files of the merged view, with their content."""
    fd = driver.open_merged(layer)
    try:
        return {
            os.path.relpath(os.path.join(where, name), f"/proc/self/fd/{fd}"): Path(
                where, name
            ).read_text()
            for where, _, names in os.walk(f"/proc/self/fd/{fd}")
            for name in names
            if Path(where, name).is_file()
        }
    finally:
        os.close(fd)


NEW = archive(
    ociimage.Entry("dir"),
    ociimage.Entry("dir/file", b"from the archive"),
    ociimage.Entry(".wh.other", b""),
    ociimage.Entry("replaced"),
    ociimage.Entry("replaced/.wh..wh..opq", b""),
    ociimage.Entry("replaced/new", b"new"),
)
"""A layer on top of what :func:`fill` makes: it adds, removes and replaces."""

UPPER_IDS: MapPair = ((IDMap(0, 100_000, 3000),), (IDMap(0, 200_000, 3000),))
OTHER_IDS: MapPair = ((IDMap(0, 500_000, 2000),), (IDMap(0, 600_000, 2000),))


def make_chain(driver: Driver, length: int) -> list[LayerID]:
    """Layers on one another, each with a file of its own; the base first."""
    layers: list[LayerID] = []
    for number in range(length):
        layer = LayerID(f"{number:064x}")
        parent = layers[-1] if layers else None
        driver.create(NewLayer(id=layer, parent=parent))
        Path(driver.diff_directory(layer), f"file{number}").touch()
        layers.append(layer)
    return layers
