"""Small files of a directory that nobody can change, read before they are asked for.

Used by: fusefs.nodes.{passthrough_files,passthrough_view}. Knows nothing of: FUSE, threads, loops.

Programs that read a whole tree (tar, cp -a, grep -r) open the files of a directory in the order in
which it was listed, and wait for each. Who reads one of its first files, or one of the next after
the last that was read, will read what follows: that is fetched many files at a time, off the
loop, and a read that finds its file here waits for neither a disk nor a thread.
"""

import os
import stat
import sys
from collections import OrderedDict
from collections.abc import Callable, Sequence
from contextlib import suppress
from threading import Lock
from typing import TYPE_CHECKING, Final, cast

from drivers.errors import StorageError
from fusefs.nodes.base import ListedEntry, Node

if TYPE_CHECKING:
    from fusefs.nodes.passthrough_files import BackedFile
    from fusefs.nodes.passthrough_node import BackedNode
    from fusefs.nodes.passthrough_view import View

_DIRECTORIES: Final = 16
_LONGEST: Final = 128 << 10
"""Bytes of the longest file that is fetched: what the kernel asks for in one read."""
_FEWEST, _MOST = 4, 32
"""Entries fetched for who begins, and ahead of who goes on: twice as many each time."""
_AT_ONCE: Final = 1 << 20
"""Bytes fetched at once: so a directory holds twice as many at most."""
_SKIPPED: Final = 16
"""Entries that may lie between two files read in order: directories, links, what was cached."""


class Reader:
    """How far the files of one directory were read, and what was fetched of the next.

    Not for several threads, but for what :meth:`follow` returns, which runs beside the rest.
    """

    def __init__(self, entries: Sequence[ListedEntry]) -> None:
        self._entries = entries
        self._next = self._fetched = 0
        self._window = _FEWEST
        self._held: dict[Node, bytes] = {}
        self._lock = Lock()
        """Of what is held: nothing that was passed by may come to it."""

    def take(self, file: Node, offset: int, size: int) -> bytes | None:
        """What was fetched of *file*; it is given up once its end was read."""
        data = self._held.get(file)
        if data is not None and offset + size >= len(data):
            with self._lock:
                self._held.pop(file, None)
        return None if data is None else data[offset : offset + size]

    def follow(self, file: Node) -> Callable[[], None] | None:
        """Note that *file* is read; return what fetches the files after it, if it is time to."""
        position = self._find(file, self._next)
        if position is None:
            position = self._find(file, 0)
            if position is None:
                return None
            self._begin()
        self._pass_by(position)
        first = max(self._fetched, self._next)
        end = min(self._next + self._window, len(self._entries))
        if end <= first or first - self._next > self._window // 2:
            return None
        self._fetched, self._window = end, min(2 * self._window, _MOST)
        return lambda: self._fetch(first, end)

    def stop(self) -> None:
        """Give up everything, and what is being fetched."""
        with self._lock:
            self._next = sys.maxsize
            self._held.clear()

    def _find(self, file: Node, first: int) -> int | None:
        for position, entry in enumerate(self._entries[first : first + _SKIPPED], first):
            if entry.node is file:
                return position
        return None

    def _begin(self) -> None:
        with self._lock:
            self._next = self._fetched = 0
            self._window = _FEWEST
            self._held.clear()

    def _pass_by(self, position: int) -> None:
        """The entry at *position* is read, and those before it will not be."""
        with self._lock:
            for entry in self._entries[self._next : position]:
                self._held.pop(entry.node, None)
            self._next = position + 1

    def _fetch(self, first: int, end: int) -> None:
        total = 0
        for position, entry in enumerate(self._entries[first:end], first):
            attributes = entry.attributes
            if stat.S_ISREG(attributes.mode) and 0 < attributes.size <= _LONGEST:
                total += attributes.size
                if total > _AT_ONCE or self._next == sys.maxsize:
                    return
                if position >= self._next:
                    self._hold(position, cast("BackedFile", entry.node), attributes.size)

    def _hold(self, position: int, file: "BackedFile", size: int) -> None:
        """Fetch one file. What goes wrong is told to who asks for it."""
        with suppress(OSError, StorageError), file.open_again() as fd:
            data = os.pread(fd, size, 0)
            with self._lock:
                if position >= self._next and len(data) == size:
                    self._held[file] = data


class Readers:
    """The directories whose files were read most recently."""

    def __init__(self) -> None:
        self._held: OrderedDict[BackedNode, Reader] = OrderedDict()
        self._lock = Lock()

    def of(self, directory: "BackedNode") -> Reader | None:
        """How far *directory* was read; None if no listing of it is kept."""
        with self._lock:
            reader = self._held.get(directory)
            if reader is not None:
                self._held.move_to_end(directory)
                return reader
            entries = directory.view.listings.get(directory)
            if entries is None:
                return None
            reader = self._held[directory] = Reader(entries)
            if len(self._held) > _DIRECTORIES:
                self._held.popitem(last=False)[1].stop()
            return reader

    def drop(self, view: "View") -> None:
        """Stop all reading in *view*."""
        with self._lock:
            for key in [key for key in self._held if key.view is view]:
                self._held.pop(key).stop()


READING: Final = Readers()
