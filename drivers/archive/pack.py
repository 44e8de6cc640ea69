"""A tree, or what changed in one, as a tar archive that equals the Go tools' byte for byte.

Used by: drivers.naive, drivers.overlay.diffing, copying between layers. Knows nothing of: layers.

Nothing in the tree is followed, and files may change while they are read: one that vanishes is
left out, one that grows is cut to the size in its header. One that shrinks is an error, where the
Go tools break the archive off without a word. So is one that cannot be read.
"""

import errno
import os
import stat
from collections.abc import Generator, Iterator, Sequence
from functools import partial
from typing import Final

from drivers.archive import entry, packentry, packheader
from drivers.archive.entry import Entry
from drivers.archive.packentry import (
    Attributes,
    Links,
    Owners,
    attributes_at,
    attributes_of,
    describe,
)
from drivers.archive.packoverlay import OverlayMarks, is_whiteout
from drivers.errors import ArchiveError
from drivers.idmap.maps import NO_MAPS, MapPair
from drivers.linux.beneath import open_inside
from drivers.linux.treewalk import CHANGED, Found, attempt, walk
from drivers.protocol import Change, ChangeKind

_PIECE: Final = 1 << 20
_SMALL: Final = 1 << 18
_FILE: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_DIRECTORY: Final = os.O_RDONLY | os.O_DIRECTORY
_NOTHING_PRIVATE: Final = b"\0"


def pack_tree(
    root: int, *, maps: MapPair = NO_MAPS, marks: OverlayMarks | None = None
) -> Generator[bytes, None, None]:
    """Yield the archive of what is below the directory *root*, which stays open.

    *maps* lead from the owners in the archive to those on disk. With *marks* the tree is the own
    content of an overlay layer.
    """
    packer = _Packer(Owners(maps), Links(), marks)
    yield from _guarded(packer, packer.tree(root))


def pack_changes(
    root: int, changes: Sequence[Change], *, maps: MapPair = NO_MAPS
) -> Generator[bytes, None, None]:
    """Yield the archive of *changes*, sorted by path, that led to the tree *root*.

    A removal bears the time at which its directory changed last; the Go tools take the present.
    """
    packer = _Packer(Owners(maps), Links(), None)
    yield from _guarded(packer, packer.changes(root, changes))


def _guarded(packer: "_Packer", pieces: Iterator[bytes]) -> Iterator[bytes]:
    try:
        yield from _collected(pieces)
    except OSError as failure:
        reason = f"cannot be read: {os.strerror(failure.errno or errno.EIO)}"
        raise ArchiveError(reason, entry=packer.at) from failure
    finally:
        packer.close()


def _collected(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Join small pieces to large ones; add the end of the archive."""
    held: list[bytes] = []
    size = 0
    for piece in pieces:
        if len(piece) >= _SMALL:
            if held:
                yield b"".join(held)
                held, size = [], 0
            yield piece
            continue
        held.append(piece)
        size += len(piece)
        if size >= _SMALL:
            yield b"".join(held)
            held, size = [], 0
    yield b"".join((*held, packheader.END))


def _located(root: int, changes: Sequence[Change]) -> Iterator[tuple[int, bytes, Change]]:
    """Yield (descriptor of its directory, path, change) of what is still there to be packed."""
    opened, parent = b"", os.open(".", _DIRECTORY | os.O_CLOEXEC, dir_fd=root)
    try:
        for change in changes:
            path = change.path[1:]
            directory = path.rpartition(b"/")[0]
            if directory != opened:
                following = attempt(partial(open_inside, root, directory, _DIRECTORY))
                if following is None:
                    continue
                os.close(parent)
                opened, parent = directory, following
            yield parent, path, change
    finally:
        os.close(parent)


class _Packer:
    """One archive: what was packed already, and the merged view if it was needed.

    ``at`` is the path that is being packed, for messages.
    """

    def __init__(self, owners: Owners, links: Links, marks: OverlayMarks | None) -> None:
        self._owners = owners
        self._links = links
        self._marks = marks
        self._private = marks.prefix if marks else _NOTHING_PRIVATE
        self._merged = -1
        self._complete = b""
        self.at = b""

    def close(self) -> None:
        """Close the merged view."""
        if self._merged >= 0:
            os.close(self._merged)

    def tree(self, root: int, prefix: bytes = b"") -> Iterator[bytes]:
        """Yield the entries of a tree, whose names begin with *prefix*."""
        for found in walk(root, self._is_entered):
            yield from self._entry(found._replace(path=prefix + found.path) if prefix else found)

    def changes(self, root: int, changes: Sequence[Change]) -> Iterator[bytes]:
        """Yield the entries of some changes."""
        for parent, path, change in _located(root, changes):
            if change.kind is ChangeKind.DELETE:
                yield packheader.encode(packentry.removal(path, os.fstat(parent)))
                continue
            name = path.rpartition(b"/")[2]
            status = attempt(partial(os.stat, name, dir_fd=parent, follow_symlinks=False))
            if status is not None:
                yield from self._entry(Found(parent, name, path, status))

    def _entry(self, found: Found) -> Iterator[bytes]:
        self.at = found.path
        mode = found.status.st_mode
        if stat.S_ISDIR(mode):
            yield from self._directory(found)
        elif stat.S_ISREG(mode) and found.status.st_size and not self._links.earlier(found):
            yield from self._file(found)
        elif not stat.S_ISSOCK(mode):
            header = attempt(partial(self._header_alone, found))
            if header is not None:
                yield header

    def _file(self, found: Found) -> Iterator[bytes]:
        try:
            fd = os.open(found.name, _FILE, dir_fd=found.parent)
        except OSError as failure:
            if failure.errno in CHANGED:
                return
            raise
        try:
            found = Found(found.parent, found.name, found.path, os.fstat(fd))
            if not stat.S_ISREG(found.status.st_mode):
                return
            attributes = attributes_of(fd)
            if self._marks and self._marks.attribute(b"metacopy") in attributes.names:
                below = self._open_merged(found.path, _FILE)
                os.dup2(below, fd, inheritable=False)
                os.close(below)
            self._links.remember(found)
            owner = self._owners.of(found)
            header = describe(found, owner, attributes.travelling(self._private))
            yield packheader.encode(header, owner.user, owner.group)
            yield from _content(fd, header)
        finally:
            os.close(fd)

    def _header_alone(self, found: Found) -> bytes:
        """Return the entry of what has no content, or the same as an earlier entry."""
        whiteout = self._marks is not None and is_whiteout(found.status)
        owner = self._owners.of(found, unknown=0) if whiteout else self._owners.of(found)
        attributes = attributes_at(found).travelling(self._private)
        target = b""
        if stat.S_ISLNK(found.status.st_mode):
            target = os.readlink(found.name, dir_fd=found.parent)
        header = describe(found, owner, attributes, target)
        earlier = self._links.earlier(found)
        if earlier is not None:
            header = header._replace(type=entry.HARD_LINK, linkname=earlier, size=0)
        self._links.remember(found)
        if whiteout:
            header = packentry.as_removal(header)
        return packheader.encode(header, owner.user, owner.group)

    def _directory(self, found: Found) -> Iterator[bytes]:
        attributes = attempt(partial(attributes_at, found))
        if attributes is None:
            return
        owner = self._owners.of(found)
        header = describe(found, owner, attributes.travelling(self._private))
        yield packheader.encode(header, owner.user, owner.group)
        if self._marks is None or not attributes.names:
            return
        moved = self._marks.attribute(b"redirect") in attributes.names
        if (moved or _is_opaque(self._marks, attributes)) and self._marks.hides(found.path):
            yield packheader.encode(packentry.opaque(header), owner.user, owner.group)
        if moved:
            yield from self._moved(found.path)

    def _moved(self, path: bytes) -> Iterator[bytes]:
        """Yield the content of a directory that is below under another name."""
        self._complete = path
        root = self._open_merged(path, _DIRECTORY)
        try:
            yield from _Packer(self._owners, self._links, None).tree(root, path + b"/")
        finally:
            os.close(root)

    def _is_entered(self, found: Found) -> bool:
        return found.path != self._complete

    def _open_merged(self, path: bytes, flags: int) -> int:
        if self._merged < 0:
            assert self._marks is not None
            self._merged = self._marks.open_merged()
        return open_inside(self._merged, path, flags)


def _is_opaque(marks: OverlayMarks, attributes: Attributes) -> bool:
    name = marks.attribute(b"opaque")
    return name in attributes.names and attributes.read(name) == b"y"


def _content(fd: int, header: Entry) -> Iterator[bytes]:
    left = header.size
    while left:
        piece = os.read(fd, min(left, _PIECE))
        if not piece:
            remedy = "stop or pause the container that writes it, then try again"
            raise ArchiveError("it became shorter meanwhile", entry=header.name, remedy=remedy)
        left -= len(piece)
        yield piece
    if header.size % packheader.BLOCK:
        yield packheader.padding(header.size)
