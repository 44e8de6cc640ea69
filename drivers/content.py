"""The files of a layer by the names that its archive gives them.

Used by: the drivers, which know the directories. Knows nothing of: layers, archives.
Names and links come from strangers: nothing outside the directories is ever opened.
"""

import errno
import os
import stat
from collections.abc import Sequence
from typing import Final

from drivers.linux.beneath import open_beneath

_READING: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY
_PLACE: Final = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC
_NO_NAMES: Final = (b"", b".", b"..")
_NOT_HERE: Final = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENXIO)


class ContentDirectories:
    """A drivers.protocol.ContentReader that looks into several directories, one after the other.

    Not for several threads at once.
    """

    def __init__(self, directories: Sequence[str]) -> None:
        self._waiting = list(directories)
        self._open: list[_Directory] = []

    def open(self, name: bytes) -> int:
        """Return a descriptor of the regular file *name* in the first directory that has it."""
        for directory in self._open:
            found = directory.open(name)
            if found is not None:
                return found
        while self._waiting:
            directory = _Directory(self._waiting[0])
            self._open.append(directory)
            del self._waiting[0]
            found = directory.open(name)
            if found is not None:
                return found
        raise FileNotFoundError(errno.ENOENT, "no file of the layer", os.fsdecode(name))

    def close(self) -> None:
        """Close the directories; files that were opened stay open."""
        for directory in self._open:
            directory.close()
        self._open, self._waiting = [], []


class _Directory:
    """One of the directories. The parent of the last file stays open: the next is beside it."""

    def __init__(self, path: str) -> None:
        self._root = os.open(path, _PLACE)
        self._parent = b""
        self._parent_fd = -1

    def open(self, name: bytes) -> int | None:
        """Return a descriptor of the regular file *name*; None if there is none.

        Nothing else is opened: a device could take that for an order.
        """
        parent, _, base = name.rpartition(b"/")
        if base in _NO_NAMES or b"\0" in name:
            return None
        try:
            directory = self._opened(parent)
            if not _is_file(os.stat(base, dir_fd=directory, follow_symlinks=False)):
                return None
            fd = os.open(base, _READING, dir_fd=directory)
        except OSError as refused:
            if refused.errno in _NOT_HERE:
                return None
            raise
        if _is_file(os.fstat(fd)):
            return fd
        os.close(fd)
        return None

    def close(self) -> None:
        """Give up what is open."""
        os.close(self._root)
        if self._parent_fd >= 0:
            os.close(self._parent_fd)

    def _opened(self, parent: bytes) -> int:
        if self._parent_fd < 0 or parent != self._parent:
            fd = open_beneath(self._root, parent, _PLACE, follow_last=True)
            if self._parent_fd >= 0:
                os.close(self._parent_fd)
            self._parent, self._parent_fd = parent, fd
        return self._parent_fd


def _is_file(status: os.stat_result) -> bool:
    return stat.S_ISREG(status.st_mode)
