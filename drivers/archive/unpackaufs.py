"""What AUFS kept for itself in a layer: files that are content only where hard links name them.

Used by: drivers.archive.unpackmarkers. Knows nothing of: where entries go.

Files below ``.wh..wh.plnk`` at the top of an archive are no part of the layer. A hard link to one
becomes a file with its content, owner, mode and times; two links become two files, as with the Go
tools. Where a file lies below that directory does not count, only its last component does.
"""

import os
import posixpath
from collections.abc import Iterator
from typing import Final, NamedTuple

from drivers.archive.entry import HARD_LINK, REGULAR, Entry
from drivers.archive.whiteout import LINKS, METADATA
from drivers.errors import ArchiveError

_PIECE: Final = 1 << 20
_UNNAMED: Final = os.O_RDWR | os.O_TMPFILE | os.O_CLOEXEC


class _Kept(NamedTuple):
    entry: Entry
    offset: int
    size: int


class LinkedFiles:
    """The files that links may name, in one file without a name on the file system of *root*."""

    def __init__(self, root: int) -> None:
        self._root = root
        self._fd = -1
        self._end = 0
        self._kept: dict[bytes, _Kept] = {}

    def take(self, entry: Entry, payload: Iterator[memoryview]) -> bool:
        """Keep *entry* aside if it is a file for links; return whether it is AUFS's at all."""
        name = posixpath.normpath(entry.name)
        if not name.startswith(METADATA):
            return False
        if name.startswith(LINKS) and entry.type == REGULAR:
            self._keep(posixpath.basename(name), entry, payload)
        return True

    def resolve(
        self, entry: Entry, payload: Iterator[memoryview]
    ) -> tuple[Entry, Iterator[memoryview]]:
        """Return what is to be made for *entry*: a file, if it is a link to one that was kept.

        Raises ArchiveError if that is missing.
        """
        target = posixpath.normpath(entry.linkname) if entry.type == HARD_LINK else b""
        if not target.startswith(LINKS):
            return entry, payload
        kept = self._kept.get(posixpath.basename(target))
        if kept is None:
            raise ArchiveError("invalid aufs hardlink: there was no such file", entry=entry.name)
        return kept.entry._replace(name=entry.name), self._content(kept)

    def close(self) -> None:
        """Give the space back. A second call does nothing."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _keep(self, name: bytes, entry: Entry, payload: Iterator[memoryview]) -> None:
        if self._fd < 0:
            self._fd = os.open(b".", _UNNAMED, 0o600, dir_fd=self._root)
        start = self._end
        for piece in payload:
            rest = piece
            while rest:
                written = os.pwrite(self._fd, rest, self._end)
                self._end += written
                rest = rest[written:]
        self._kept[name] = _Kept(entry, start, self._end - start)

    def _content(self, kept: _Kept) -> Iterator[memoryview]:
        done = 0
        while done < kept.size:
            piece = os.pread(self._fd, min(_PIECE, kept.size - done), kept.offset + done)
            yield memoryview(piece)
            done += len(piece)
