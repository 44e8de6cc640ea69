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

_READING: Final = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY
_NOT_HERE: Final = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENXIO)


class ContentDirectories:
    """A drivers.protocol.ContentReader that looks into several directories, one after the other."""

    def __init__(self, directories: Sequence[str]) -> None:
        self._waiting = list(directories)
        self._open: list[int] = []

    def open(self, name: bytes) -> int:
        """Return a descriptor of the regular file *name* in the first directory that has it."""
        for root in self._open:
            found = _open_file(root, name)
            if found is not None:
                return found
        while self._waiting:
            root = os.open(self._waiting.pop(0), os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
            self._open.append(root)
            found = _open_file(root, name)
            if found is not None:
                return found
        raise FileNotFoundError(errno.ENOENT, "no file of the layer", os.fsdecode(name))

    def close(self) -> None:
        """Close the directories; files that were opened stay open."""
        for root in self._open:
            os.close(root)
        self._open, self._waiting = [], []


def _open_file(root: int, name: bytes) -> int | None:
    try:
        fd = open_beneath(root, name, _READING)
    except OSError as refused:
        if refused.errno in _NOT_HERE:
            return None
        raise
    if stat.S_ISREG(os.fstat(fd).st_mode):
        return fd
    os.close(fd)
    return None
