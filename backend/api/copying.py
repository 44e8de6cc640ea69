"""Files from a layer or the host into a layer or onto the host, with owners as the layers see them.

Used by: backend.store (as Store.copy). Knows nothing of: how layers are mounted.
Source: containers/storage cmd/containers-storage (copy), pkg/archive (CopyWithTar).

What is copied is packed and unpacked as an archive is, so nothing leaves the root of its layer,
whatever links are on the way. Copying is no transaction: what was copied before an error stays,
and nothing is synced.
"""

import errno
import os
import posixpath
import stat
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Final, NamedTuple

from backend.api import lookup
from backend.api.idmaps import Maps, maps_of
from backend.api.mounts import Mounts
from backend.api.workshop import Workshop
from backend.errors import InvalidValueError
from backend.model.records import Layer
from drivers.archive import entry as kinds
from drivers.archive.entry import Entry
from drivers.archive.pack import pack_tree
from drivers.archive.packentry import attributes_of
from drivers.archive.scanner import scan
from drivers.archive.unpack import Unpacker, UnpackOptions
from drivers.idmap.maps import to_container
from drivers.linux.beneath import open_beneath
from drivers.protocol import Whiteouts

_PIECE: Final = 1 << 20
_READ: Final = os.O_RDONLY | os.O_NONBLOCK
_NOBODY: Final = 65534
_NOTHING_PRIVATE: Final = b"\0"


Owner = tuple[int, int]
"""User and group that copies get, as IDs of the target layer."""


class _Place(NamedTuple):
    """A path below *root*, an open directory; ``layer`` is None on the host."""

    root: int
    path: bytes
    layer: Layer | None

    @property
    def maps(self) -> Maps:
        return maps_of(self.layer) if self.layer else Maps()

    def open(self, flags: int) -> int:
        return open_beneath(self.root, self.path, flags, follow_last=True)


def copy(
    shop: Workshop, mounts: Mounts, sources: Sequence[str], target: str, *, owner: Owner | None
) -> None:
    """Copy *sources*, in order, to *target*; each is a path, or ``LAYER:PATH``.

    The content of a directory goes into the directory *target*, a file becomes the file *target*.
    Raises LayerUnknownError, InvalidValueError, ArchiveError, UnpackFailedError, OSError.
    """
    with _target(shop, mounts, target) as place:
        options = UnpackOptions(
            uid_map=place.maps.uid, gid_map=place.maps.gid, rootless=shop.options.rootless
        )
        for source in sources:
            with _source(shop, mounts, source) as found:
                _check_apart(found, place, source)
                sink = Unpacker(place.root, whiteouts=Whiteouts.KEEP, options=options)
                with sink:
                    _copy(found, place, sink, owner)
                    sink.finish()


def _copy(source: _Place, target: _Place, sink: Unpacker, owner: Owner | None) -> None:
    fd = source.open(_READ)
    try:
        status = os.fstat(fd)
        if stat.S_ISDIR(status.st_mode):
            if _is_directory(target) is None:
                sink.add(_owned(Entry(target.path, kinds.DIRECTORY, mode=0o755), owner), iter(()))
            for member in scan(pack_tree(fd, maps=source.maps)):
                if member.entry is not None:
                    sink.add(_owned(_below(target.path, member.entry), owner), member.payload)
        elif stat.S_ISREG(status.st_mode):
            if _is_directory(target):
                raise IsADirectoryError(errno.EISDIR, "it is a directory", _text(target.path))
            sink.add(_owned(_file(fd, status, source.maps, target.path), owner), _content(fd))
        else:
            raise InvalidValueError("source", _text(source.path), "neither a file nor a directory")
    finally:
        os.close(fd)


def _file(fd: int, status: os.stat_result, maps: Maps, name: bytes) -> Entry:
    users, groups = maps
    uid, gid = to_container(status.st_uid, users), to_container(status.st_gid, groups)
    return Entry(
        name,
        kinds.REGULAR,
        size=status.st_size,
        mode=stat.S_IMODE(status.st_mode),
        uid=_NOBODY if uid is None else uid,
        gid=_NOBODY if gid is None else gid,
        mtime_ns=status.st_mtime_ns,
        xattrs=attributes_of(fd).travelling(_NOTHING_PRIVATE),
    )


def _content(fd: int) -> Iterator[memoryview]:
    while piece := os.read(fd, _PIECE):
        yield memoryview(piece)


def _below(directory: bytes, entry: Entry) -> Entry:
    """*entry* with the names of the copy; what a symlink says stays as it is."""
    name = posixpath.join(directory, entry.name.lstrip(b"/"))
    if entry.type != kinds.HARD_LINK:
        return entry._replace(name=name)
    return entry._replace(name=name, linkname=posixpath.join(directory, entry.linkname))


def _owned(entry: Entry, owner: Owner | None) -> Entry:
    return entry if owner is None else entry._replace(uid=owner[0], gid=owner[1])


def _is_directory(target: _Place) -> bool | None:
    """None if nothing is there."""
    try:
        fd = target.open(os.O_PATH)
    except FileNotFoundError:
        return None
    try:
        return stat.S_ISDIR(os.fstat(fd).st_mode)
    finally:
        os.close(fd)


def _check_apart(source: _Place, target: _Place, said: str) -> None:
    """Refuse to copy a directory into itself, which would not end."""
    same = (source.layer and source.layer.id) == (target.layer and target.layer.id)
    if same and f"{_text(target.path)}/".startswith(f"{_text(source.path)}/".lstrip("/")):
        raise InvalidValueError("source", said, "the target is in it")


@contextmanager
def _source(shop: Workshop, mounts: Mounts, said: str) -> Iterator[_Place]:
    layer, path = _parsed(shop, said)
    root = _host() if layer is None else mounts.open_view(layer.id)
    try:
        yield _Place(root, path, layer)
    finally:
        os.close(root)


@contextmanager
def _target(shop: Workshop, mounts: Mounts, said: str) -> Iterator[_Place]:
    layer, path = _parsed(shop, said)
    with ExitStack() as stack:
        if layer is None:
            root = _host()
        else:
            mounted = mounts.mount(layer.id)
            stack.callback(mounts.unmount, layer.id)
            root = os.open(mounted, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        stack.callback(os.close, root)
        yield _Place(root, path, layer)


def _host() -> int:
    return os.open("/", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)


def _parsed(shop: Workshop, said: str) -> tuple[Layer | None, bytes]:
    """The layer, and the path in it without slashes around it."""
    name, colon, path = said.partition(":")
    layer = lookup.layer(shop.fresh().layers, name) if colon else None
    path = posixpath.normpath(f"/{path}") if colon else os.path.abspath(said)
    return layer, os.fsencode(path.strip("/"))


def _text(path: bytes) -> str:
    return os.fsdecode(path)
