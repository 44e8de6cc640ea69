"""Small files of a directory that nobody can change, read before they are asked for.

Used by: fusefs.nodes.{passthrough_files,passthrough_view}. Knows nothing of: FUSE, threads, loops.

Programs that read a whole tree (tar, cp -a, grep -r) open the files of a directory in the order in
which it was listed, and wait for each. Who reads one of its first files, or one of the next after
the last that was fetched, will read what follows: the thread that reads that file fetches more of
them, and reads that find their file here wait for neither a disk nor a thread. It is that thread,
which is waited for, because one that ran beside the loop would take turns with it at each call.
"""

import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import suppress
from threading import Lock
from typing import TYPE_CHECKING, Final, cast

from drivers.errors import StorageError
from fusefs.nodes.base import ListedEntry, Node
from fusefs.nodes.recent import Recent

if TYPE_CHECKING:
    from fusefs.nodes.passthrough_files import BackedFile
    from fusefs.nodes.passthrough_node import BackedNode
    from fusefs.nodes.passthrough_view import Descriptor

_DIRECTORIES: Final = 16
_LONGEST: Final = 128 << 10
"""Bytes of the longest file that is fetched: what the kernel asks for in one read."""
_FEWEST, _MOST = 4, 32
"""Entries fetched for who begins, and for who goes on: twice as many each time."""
_AT_ONCE: Final = 1 << 20
"""Bytes fetched at once, and so held for one directory."""
_SKIPPED: Final = 16
"""Entries that may lie between two files read in order: directories, links, what was cached."""


class Reader:
    """How far the files of one directory were fetched, and those that nobody asked for yet."""

    def __init__(self, entries: Sequence[ListedEntry]) -> None:
        self._entries = entries
        self._next, self._window = 0, _FEWEST
        self._held: dict[Node, bytes] = {}
        self._fetching = Lock()

    def take(self, file: Node, offset: int, size: int) -> bytes | None:
        """What was fetched of *file*; it is given up once its end was read."""
        data = self._held.get(file)
        if data is not None and offset + size >= len(data):
            self._held.pop(file, None)
        return None if data is None else data[offset : offset + size]

    def fetch_after(self, file: Node) -> None:
        """Fetch the files after *file*, which was read itself, if they are read in order.

        What is held still was passed by: it is given up.
        """
        if not self._fetching.acquire(blocking=False):
            return
        try:
            position = self._find(file)
            if position is not None:
                files = self._small(position + 1)
                self._held = dict(_contents(_opened(files)))
        finally:
            self._fetching.release()

    def _find(self, file: Node) -> int | None:
        """Where *file* is, if it is read in order; more is fetched then than the last time."""
        for first, window in ((self._next, min(2 * self._window, _MOST)), (0, _FEWEST)):
            for position, entry in enumerate(self._entries[first : first + _SKIPPED], first):
                if entry.node is file:
                    self._window = window
                    return position
        return None

    def _small(self, first: int) -> list[ListedEntry]:
        """The small files among the next entries."""
        found, total = [], 0
        self._next = min(first + self._window, len(self._entries))
        for position in range(first, self._next):
            entry = self._entries[position]
            if stat.S_ISREG(entry.attributes.mode) and 0 < entry.attributes.size <= _LONGEST:
                total += entry.attributes.size
                if total > _AT_ONCE:
                    self._next = position
                    break
                found.append(entry)
        return found


def _opened(files: Sequence[ListedEntry]) -> list[tuple[ListedEntry, "Descriptor"]]:
    """Open *files* and have the kernel read them all. Who asks for one is told what is wrong."""
    found = []
    for entry in files:
        with suppress(OSError, StorageError):
            held = cast("BackedFile", entry.node).open_again()
            os.posix_fadvise(held.fd, 0, 0, os.POSIX_FADV_WILLNEED)
            found.append((entry, held))
    return found


def _contents(
    files: Sequence[tuple[ListedEntry, "Descriptor"]],
) -> Iterator[tuple[Node, bytes]]:
    for entry, held in files:
        with suppress(OSError):
            data = os.pread(held.fd, entry.attributes.size, 0)
            if len(data) == entry.attributes.size:
                yield entry.node, data


class Readers(Recent[Reader]):
    """The directories whose files were read most recently."""

    def __init__(self) -> None:
        super().__init__(_DIRECTORIES)

    def of(self, directory: "BackedNode") -> Reader | None:
        """How far *directory* was read; None if no listing of it is kept."""
        reader = self.get(directory)
        if reader is None:
            entries = directory.view.listings.get(directory)
            if entries is not None:
                reader = Reader(entries)
                self.keep(directory, reader)
        return reader


READING: Final = Readers()
