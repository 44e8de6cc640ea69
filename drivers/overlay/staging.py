"""Content of layers that do not exist yet: HOME/staging/RANDOM/dir, with staging.lock beside it.

Used by: drivers.overlay.driver. Knows nothing of: archives, records.

The lock file is held as long as its maker lives; the Go tools keep to the same rule. What can be
locked was left by a dead process.
"""

import contextlib
import errno
import os
import time
from collections.abc import Callable
from typing import Final

from drivers.erase import erase_tree
from drivers.linux import recordlock
from drivers.protocol import ApplyPlace

_LOCK: Final = "staging.lock"
_ATTEMPTS: Final = 100
_YOUNG: Final = 60
"""Seconds in which a directory without a lock may still be about to get one."""


class StagedDirectory:
    """A drivers.protocol.StagedLayer; *finish* makes a layer out of the directory it is given."""

    def __init__(
        self, home: str, prepare: Callable[[str], ApplyPlace], finish: Callable[[str], None]
    ) -> None:
        self._directory, self._lock = _new_directory(os.path.join(home, "staging"))
        self._finish = finish
        try:
            self._place = prepare(self._content)
        except BaseException:
            self._erase()
            raise
        self._is_open = True

    @property
    def _content(self) -> str:
        return os.path.join(self._directory, "dir")

    @property
    def place(self) -> ApplyPlace:
        """Where the content is unpacked."""
        return self._place

    def commit(self) -> None:
        """Make the layer."""
        self._finish(self._content)
        self.discard()

    def discard(self) -> None:
        """Erase what is still there."""
        if self._is_open:
            self._is_open = False
            os.close(self._place.root)
            self._erase()

    def _erase(self) -> None:
        try:
            _erase(self._directory)
        finally:
            os.close(self._lock)


def prune(home: str) -> bool:
    """Erase what dead processes left; return whether nothing is staged by others any more."""
    root = os.path.join(home, "staging")
    try:
        names = os.listdir(root)
    except FileNotFoundError:
        return True
    idle = True
    for name in names:
        idle = _prune_one(os.path.join(root, name)) and idle
    with contextlib.suppress(OSError):
        os.rmdir(root)
    return idle


def _prune_one(directory: str) -> bool:
    try:
        lock = os.open(os.path.join(directory, _LOCK), os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    except (FileNotFoundError, NotADirectoryError):
        return _prune_without_lock(directory)
    try:
        if not recordlock.try_lock(lock, exclusive=True):
            return False
        _erase(directory)
        return True
    finally:
        os.close(lock)


def _prune_without_lock(directory: str) -> bool:
    try:
        if time.time() - os.lstat(directory).st_mtime < _YOUNG:
            return False
    except FileNotFoundError:
        return True
    erase_tree(directory)
    return True


def _erase(directory: str) -> None:
    """Erase the content first: without its lock file, a directory belongs to nobody."""
    erase_tree(os.path.join(directory, "dir"))
    erase_tree(directory)
    with contextlib.suppress(OSError):
        os.rmdir(os.path.dirname(directory))


def _new_directory(root: str) -> tuple[str, int]:
    """Make a directory below *root* and its lock; return both."""
    for _ in range(_ATTEMPTS):
        directory = os.path.join(root, os.urandom(8).hex())
        with contextlib.suppress(FileExistsError):
            os.makedirs(root, 0o700, exist_ok=True)
        with contextlib.suppress(FileNotFoundError, FileExistsError):  # a peer removed the root
            os.mkdir(directory, 0o700)
            path = os.path.join(directory, _LOCK)
            lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            if recordlock.try_lock(lock, exclusive=True) and os.path.exists(path):
                return directory, lock
            os.close(lock)
    raise FileExistsError(errno.EEXIST, "no free name", root)
