"""What is in a directory, beside what its layers' archives say should be there.

Used by: backend.api.checkcontent. Knows nothing of: layers, stores. Changes and mounts nothing.
"""

import enum
import errno
import os
import stat
from collections.abc import Iterator
from typing import Final, NamedTuple

from fastcrc import crc64

from drivers.archive.entry import (
    BLOCK,
    CHARACTER,
    DIRECTORY,
    FIFO,
    HARD_LINK,
    REGULAR,
    SYMLINK,
    Entry,
)
from drivers.archive.expected import Expected, Item, relative
from drivers.archive.unpackattributes import stored_attributes
from drivers.errors import is_shortage, is_unreadable
from drivers.idmap.maps import IDMap, to_container
from drivers.linux import treewalk, xattr
from drivers.linux.treewalk import Found
from drivers.protocol import Whiteouts

_READ: Final = 1 << 20
_MODE_BITS: Final = 0o7777
_SECOND: Final = 1_000_000_000
_TYPES: Final = {
    REGULAR: stat.S_IFREG,
    SYMLINK: stat.S_IFLNK,
    CHARACTER: stat.S_IFCHR,
    BLOCK: stat.S_IFBLK,
    DIRECTORY: stat.S_IFDIR,
    FIFO: stat.S_IFIFO,
}
_WORDS: Final = {
    stat.S_IFREG: "a file",
    stat.S_IFLNK: "a symbolic link",
    stat.S_IFCHR: "a character device",
    stat.S_IFBLK: "a block device",
    stat.S_IFDIR: "a directory",
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
}


class Aspect(enum.Enum):
    """What differs. CONTENT and ATTRIBUTES are damage, a directory's TIME is none.

    What is UNREADABLE may be whole, on a disk that fails. A directory's time of change moves
    whenever something is made or removed in it, as by tools that put mount points there and take
    them away again.
    """

    CONTENT = "content"
    ATTRIBUTES = "attributes"
    TIME = "time"
    UNREADABLE = "unreadable"


class Difference(NamedTuple):
    """One thing that is not as it should be; ``path`` is relative, ``how`` is for people."""

    path: bytes
    aspect: Aspect
    how: str


class View(NamedTuple):
    """How a layer's archive looks on disk."""

    whiteouts: Whiteouts
    uid_map: tuple[IDMap, ...] = ()
    gid_map: tuple[IDMap, ...] = ()
    xattr_prefix: bytes = b"trusted.overlay."
    ignores_owners: bool = False


def compare(expected: Expected, root: int, view: View) -> Iterator[Difference]:
    """Every difference between *expected* and the directory *root*; reads every file."""
    return _Comparison(expected, view).run(root)


class _Comparison:
    """One walk over a tree."""

    def __init__(self, expected: Expected, view: View) -> None:
        self._expected, self._view = expected, view
        self._seen: set[bytes] = {b""}
        self._gone: set[bytes] = set()
        self._inodes: dict[bytes, tuple[int, int]] = {}

    def run(self, root: int) -> Iterator[Difference]:
        item = self._expected.items.get(b"")
        if item and item.entry:
            yield from self._attributes(Found(root, b".", b"", os.fstat(root)), item.entry)
        yield from self._markers(Found(root, b".", b"", os.fstat(root)))
        for found in treewalk.walk(root):
            yield from self._one(found)
        yield from self._missing()
        yield from self._links()

    def _one(self, found: Found) -> Iterator[Difference]:
        path, status = found.path, found.status
        self._inodes[path] = (status.st_dev, status.st_ino)
        if self._is_whiteout(status):
            self._gone.add(path)
            if path not in self._expected.removed:
                yield Difference(path, Aspect.CONTENT, "is removed, and should not be")
            return
        self._seen.add(path)
        item = self._expected.resolved(path)
        if path not in self._expected.items:
            yield Difference(path, Aspect.CONTENT, "was added")
        elif item is None or item.entry is None:
            if item is not None and not stat.S_ISDIR(status.st_mode):
                yield self._wrong_type(found, stat.S_IFDIR)
        else:
            yield from self._compared(found, item)
        if stat.S_ISDIR(status.st_mode):
            yield from self._markers(found)

    def _compared(self, found: Found, item: Item) -> Iterator[Difference]:
        entry = item.entry
        assert entry is not None
        wanted = _TYPES.get(entry.type)
        if wanted != stat.S_IFMT(found.status.st_mode):
            yield self._wrong_type(found, wanted)
            return
        aspect = Aspect.CONTENT
        try:
            how = _content(found, item)
        except OSError as error:
            if is_shortage(error):
                raise
            if is_unreadable(error):
                aspect = Aspect.UNREADABLE
            how = f"cannot be read: {error.strerror}"
        if how:
            yield Difference(found.path, aspect, how)
        yield from self._attributes(found, entry)

    def _attributes(self, found: Found, entry: Entry) -> Iterator[Difference]:
        status, path = found.status, found.path
        is_link = stat.S_ISLNK(status.st_mode)
        mode = stat.S_IMODE(status.st_mode)
        if not is_link and mode != entry.mode & _MODE_BITS:
            how = f"has mode {mode:04o}, not {entry.mode & _MODE_BITS:04o}"
            yield Difference(path, Aspect.ATTRIBUTES, how)
        owner = self._owner(status)
        if owner != (entry.uid, entry.gid) and not self._view.ignores_owners:
            how = f"belongs to {owner[0]}:{owner[1]}, not {entry.uid}:{entry.gid}"
            yield Difference(path, Aspect.ATTRIBUTES, how)
        for key in _lost_attributes(found, entry):
            how = f"has not the attribute {os.fsdecode(key)} that it should have"
            yield Difference(path, Aspect.ATTRIBUTES, how)
        if self._time_differs(found, entry):
            directory = stat.S_ISDIR(status.st_mode)
            aspect = Aspect.TIME if directory else Aspect.ATTRIBUTES
            yield Difference(path, aspect, "has another time of change")

    def _time_differs(self, found: Found, entry: Entry) -> bool:
        """Compare whole seconds; a time before 1970 was not stored."""
        if found.path in self._expected.touched or entry.mtime_ns < 0:
            return False
        return found.status.st_mtime_ns // _SECOND != entry.mtime_ns // _SECOND

    def _owner(self, status: os.stat_result) -> tuple[int | None, int | None]:
        if not self._view.uid_map and not self._view.gid_map:
            return status.st_uid, status.st_gid
        return (
            to_container(status.st_uid, self._view.uid_map),
            to_container(status.st_gid, self._view.gid_map),
        )

    def _is_whiteout(self, status: os.stat_result) -> bool:
        whiteouts = self._view.whiteouts is Whiteouts.OVERLAY
        return whiteouts and stat.S_ISCHR(status.st_mode) and status.st_rdev == 0

    def _markers(self, found: Found) -> Iterator[Difference]:
        """An opaque directory must be one that the archive makes opaque, and the reverse."""
        if self._view.whiteouts is not Whiteouts.OVERLAY:
            return
        opaque = self._is_opaque(found)
        if opaque != (found.path in self._expected.opaque):
            how = "hides what is below" if opaque else "does not hide what is below"
            yield Difference(found.path, Aspect.CONTENT, f"{how}, and should{' not' * opaque}")

    def _is_opaque(self, found: Found) -> bool:
        try:
            return _attribute(found, self._view.xattr_prefix + b"opaque") == b"y"
        except OSError as error:
            if error.errno in (errno.ENODATA, errno.ENOTSUP):
                return False
            raise

    def _missing(self) -> Iterator[Difference]:
        for path in sorted(self._expected.items.keys() - self._seen):
            yield Difference(path, Aspect.CONTENT, "is missing")
        if self._view.whiteouts is Whiteouts.OVERLAY:
            for path in sorted(self._expected.removed - self._gone - self._expected.items.keys()):
                yield Difference(path, Aspect.CONTENT, "is not removed, and should be")

    def _links(self) -> Iterator[Difference]:
        for path, item in self._expected.items.items():
            if item.entry is None or item.entry.type != HARD_LINK or path not in self._inodes:
                continue
            target = self._inodes.get(relative(item.entry.linkname))
            if target is not None and target != self._inodes[path]:
                how = f"is no other name of {os.fsdecode(item.entry.linkname)}"
                yield Difference(path, Aspect.CONTENT, how)

    def _wrong_type(self, found: Found, wanted: int | None) -> Difference:
        is_there = _WORDS.get(stat.S_IFMT(found.status.st_mode), "something else")
        should = _WORDS.get(wanted or 0, "something else")
        return Difference(found.path, Aspect.CONTENT, f"is {is_there}, not {should}")


def _content(found: Found, item: Item) -> str:
    """How the content of a file, link or device differs; "" if it does not."""
    entry, status = item.entry, found.status
    assert entry is not None
    if entry.type == REGULAR:
        if status.st_size != entry.size:
            return f"has {status.st_size} bytes, not {entry.size}"
        if entry.size and _checksum(found) != item.checksum:
            return "has another content"
    elif entry.type == SYMLINK:
        target = os.readlink(found.name, dir_fd=found.parent)
        if os.fsencode(target) != entry.linkname:
            return "leads elsewhere"
    elif entry.type in (CHARACTER, BLOCK):
        device = os.major(status.st_rdev), os.minor(status.st_rdev)
        if device != entry.device:
            return f"is device {device[0]}:{device[1]}, not {entry.device[0]}:{entry.device[1]}"
    return ""


def _checksum(found: Found) -> int:
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    fd = os.open(found.name, flags, dir_fd=found.parent)
    try:
        checksum = 0
        while piece := os.read(fd, _READ):
            checksum = crc64.go_iso(piece, checksum)
        return checksum
    finally:
        os.close(fd)


def _lost_attributes(found: Found, entry: Entry) -> Iterator[bytes]:
    for key, value in stored_attributes(entry):
        try:
            if _attribute(found, key) != value:
                yield key
        except OSError as error:
            if is_shortage(error) or is_unreadable(error):
                raise
            if error.errno != errno.ENOTSUP:
                yield key


def _attribute(found: Found, key: bytes) -> bytes:
    if found.path:
        return xattr.get_at(found.parent, found.name, key)
    return xattr.get(found.parent, key)
