"""The directories that an archive's entries go to, held open, found below one root only.

Used by: drivers.archive.unpack and its parts. Knows nothing of: entries, whiteouts, owners.

A path is resolved as in a process whose root directory is the root: links on the way are
followed, and cannot lead out. The names of one directory mostly follow each other, so the last
few directories stay open. A descriptor goes on to be what its path leads to as long as nothing
is removed: that is why removing is here as well.
"""

from __future__ import annotations

import os
import stat
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from drivers.archive.unpacknames import split
from drivers.erase import erase_entry
from drivers.linux.beneath import open_beneath

_KEPT: Final = 64
_OPEN: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_ENTRY: Final = _OPEN | os.O_NOFOLLOW
_BITS_OF_MISSING: Final = 0o777

Made = Callable[[bytes, int], None]


class Places:
    """Directories below *root* by path. Descriptors that are returned are borrowed.

    The last two that were returned are open; any older one may be closed, and after
    :meth:`erase` all. *made* is called with path and descriptor of each directory that no entry
    asked for and that was missing on the way to one.
    """

    def __init__(self, root: int, made: Made) -> None:
        self._root, self._made = root, made
        self._kept: OrderedDict[bytes, int] = OrderedDict()

    def find(self, path: bytes) -> int:
        """Return the directory *path*; OSError if there is none."""
        if not path:
            return self._root
        fd = self._kept.get(path)
        if fd is None:
            fd = open_beneath(self._root, path, _OPEN, follow_last=True)
            self.keep(path, fd)
        else:
            self._kept.move_to_end(path)
        return fd

    def find_or_make(self, path: bytes) -> int:
        """Return the directory *path*; it and those above it are made if they are missing."""
        try:
            return self.find(path)
        except FileNotFoundError:
            self.keep(path, self._make(path))
            return self.find(path)

    def keep(self, path: bytes, fd: int) -> None:
        """Let *fd*, which is closed in time, be the directory *path*."""
        previous = self._kept.pop(path, None)
        if previous is not None:
            os.close(previous)
        self._kept[path] = fd
        if len(self._kept) > _KEPT:
            os.close(self._kept.popitem(last=False)[1])

    def set_times(self, path: bytes, times: tuple[int, int]) -> None:
        """Set access and modification time, in nanoseconds, of what *path* leads to.

        It was a directory, and mostly still is. What has replaced it gets the times otherwise, as
        with the Go tools; it is not opened.
        """
        try:
            os.utime(self.find(path), ns=times)
        except NotADirectoryError:
            fd = open_beneath(self._root, path, os.O_PATH, follow_last=True)
            try:
                os.utime(f"/proc/self/fd/{fd}", ns=times)
            finally:
                os.close(fd)

    def kind(self, path: bytes) -> int | None:
        """Return the type (S_IFMT) of *path*, which is not followed; None if it is not there."""
        parent, name = split(path)
        try:
            status = os.stat(name, dir_fd=self.find(parent), follow_symlinks=False)
        except FileNotFoundError:
            return None
        return stat.S_IFMT(status.st_mode)

    def erase(self, parent: bytes, name: bytes) -> None:
        """Remove *name*, with all that is in it, from the directory *parent*."""
        directory = self.find(parent)
        try:
            kind = os.stat(name, dir_fd=directory, follow_symlinks=False).st_mode
        except FileNotFoundError:
            return
        erase_entry(directory, name)
        if stat.S_ISDIR(kind) or stat.S_ISLNK(kind):
            self.close()

    def close(self) -> None:
        """Close what is held. Directories are opened anew when they are asked for."""
        while self._kept:
            os.close(self._kept.popitem()[1])

    def _make(self, path: bytes) -> int:
        """Go down from the root, making what is missing: one step a component."""
        current, done = os.dup(self._root), b""
        try:
            for name in path.split(b"/"):
                done = done + b"/" + name if done else name
                inner = self._step(current, done)
                os.close(current)
                current = inner
        except BaseException:
            os.close(current)
            raise
        return current

    def _step(self, directory: int, path: bytes) -> int:
        name = split(path)[1]
        try:
            return os.open(name, _ENTRY, dir_fd=directory)
        except NotADirectoryError:  # a link, or an error that the next line finds as well
            return open_beneath(self._root, path, _OPEN, follow_last=True)
        except FileNotFoundError:
            os.mkdir(name, _BITS_OF_MISSING, dir_fd=directory)
        fd = os.open(name, _ENTRY, dir_fd=directory)
        try:
            self._made(path, fd)
        except BaseException:
            os.close(fd)
            raise
        return fd
