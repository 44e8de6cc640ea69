"""Which open file or directory each handle number stands for.

Used by: fusefs.operations. Knows nothing of: FUSE, event loops, what is read or written.
Numbers are never used twice in the life of a mount, so that a late request cannot meet a stranger.
"""

import errno
import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Generic, NewType, TypeVar

from fusefs.nodes.base import Caller, Directory, ListedEntry, Node, OpenDirectory, OpenFile

Fh = NewType("Fh", int)
"""Number of one open: never an inode number."""


@dataclass(slots=True)
class FileHandle:
    """One open of a file. ``waiting`` is the kernel's handle of a poll(2) to be answered."""

    node: Node
    file: OpenFile
    caller: Caller
    writable: bool
    waiting: object | None = None


@dataclass(slots=True)
class DirectoryHandle:
    """One opendir, and how far it was read.

    ``position`` is where the kernel stands. ``ahead`` is what was looked up but did not fit into
    the last answer, last entry first; names from ``looked_up`` on were not looked up yet.
    """

    node: Directory
    listing: OpenDirectory
    caller: Caller
    position: int = 0
    looked_up: int = 0
    ahead: list[ListedEntry] = field(default_factory=list)

    def set_ahead(self, entries: Sequence[ListedEntry], until: int) -> None:
        """Keep what was looked up; the names before *until* are done."""
        self.ahead, self.looked_up = list(reversed(entries)), until

    def seek(self, position: int) -> None:
        """Go on from *position*, whatever was looked up before."""
        self.ahead, self.position, self.looked_up = [], position, position


H = TypeVar("H")


class HandleTable(Generic[H]):
    """Numbers to handles."""

    def __init__(self) -> None:
        self._open: dict[Fh, H] = {}
        self._numbers = itertools.count(1)

    def add(self, handle: H) -> Fh:
        """Give *handle* a number."""
        number = Fh(next(self._numbers))
        self._open[number] = handle
        return number

    def get(self, number: int) -> H:
        """The handle of a number; EBADF if it is not open."""
        try:
            return self._open[Fh(number)]
        except KeyError:
            raise OSError(errno.EBADF, f"handle {number} is not open") from None

    def remove(self, number: int) -> H:
        """Take a handle out; EBADF if it is not open."""
        handle = self.get(number)
        del self._open[Fh(number)]
        return handle

    def all(self) -> list[H]:
        """What is open now."""
        return list(self._open.values())

    def __len__(self) -> int:
        return len(self._open)
