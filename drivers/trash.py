"""Rename first, erase later; and recovery of what a dead process left half erased.

Used by: the drivers (HOME/tempdirs) and the backend (DRV-layers/tmp), under the Go tools' names:
ROOT/lock-X, held with a record lock while ROOT/temp-dir-X is in use.
Knows nothing of: layers. :meth:`TrashDirectory.take` is called under the store's locks,
:meth:`TrashDirectory.erase` after they were given back. Most commands find nothing to erase, so
what erases is imported by what has something.
"""

import contextlib
import errno
import os
from typing import Final

from drivers.linux import recordlock
from drivers.linux.presence import is_there

_LOCK: Final = "lock-"
_DIRECTORY: Final = "temp-dir-"
_ATTEMPTS: Final = 100
_FULL: Final = (errno.ENOSPC, errno.EDQUOT)


class TrashDirectory:
    """A place below *root* to rename things into. Made on the first take, gone after erase."""

    def __init__(self, root: str) -> None:
        self._root = root
        self._lock: _Lock | None = None
        self._count = 0

    def take(self, path: str) -> bool:
        """Rename *path* (file, link or directory) into the trash; False if it is not there.

        On a file system too full for one more directory it is erased on the spot.
        """
        if not is_there(path):
            return False
        try:
            directory = self._directory()
        except OSError as exc:
            if exc.errno not in _FULL:
                raise
            from drivers.erase import erase_tree

            erase_tree(path)
            return True
        target = os.path.join(directory, f"{self._count}-{os.path.basename(path)}"[:255])
        os.rename(path, target)
        self._count += 1
        return True

    def addition(self) -> str:
        """A free path in the trash, for something new that is renamed to its place when it is done.

        What is still there is erased with the rest.
        """
        path = os.path.join(self._directory(), f"{self._count}-addition")
        self._count += 1
        return path

    def erase(self) -> None:
        """Erase what was taken. Safe to call twice; what it cannot erase stays for recovery."""
        if self._lock is None:
            return
        lock, self._lock, self._count = self._lock, None, 0
        _erase_locked(self._root, lock)
        _remove_if_empty(self._root)

    def _directory(self) -> str:
        if self._lock is None:
            lock = _new_lock(self._root)
            try:
                os.mkdir(_directory_of(self._root, lock.suffix), 0o700)
            except BaseException:
                lock.remove()
                raise
            self._lock = lock
        return _directory_of(self._root, self._lock.suffix)


def recover_stale(root: str) -> None:
    """Erase every trash below *root* whose process is gone; skip those in use.

    One that cannot be erased stops none of the others; the first such failure is raised.
    """
    try:
        names = os.listdir(root)
    except FileNotFoundError:
        return
    suffixes = {name.removeprefix(kind) for name in names for kind in _kind_of(name)}
    failures = []
    for suffix in sorted(suffixes):
        try:
            _recover(root, suffix)
        except OSError as failure:
            failures.append(failure)
    _remove_if_empty(root)
    if failures:
        raise failures[0]


def _recover(root: str, suffix: str) -> None:
    lock = _take_lock(root, suffix)
    if lock is not None:
        _erase_locked(root, lock)


class _Lock:
    """The lock file ROOT/lock-SUFFIX, locked."""

    def __init__(self, path: str, suffix: str, fd: int) -> None:
        self.suffix = suffix
        self._path, self._fd = path, fd

    def remove(self) -> None:
        recordlock.give_up_file(self._path, self._fd)

    def release(self) -> None:
        os.close(self._fd)


def _new_lock(root: str) -> _Lock:
    for _ in range(_ATTEMPTS):
        # A peer may remove the empty root while makedirs looks whether it is there.
        with contextlib.suppress(FileExistsError):
            os.makedirs(root, 0o700, exist_ok=True)
        lock = _take_lock(root, os.urandom(8).hex())
        if lock is not None:
            return lock
    raise FileExistsError(errno.EEXIST, "no free lock name", root)


def _take_lock(root: str, suffix: str) -> _Lock | None:
    """Open, or make, and lock; None if it is in use or went away meanwhile."""
    path = os.path.join(root, _LOCK + suffix)
    try:
        fd = recordlock.take_file(path)
    except FileNotFoundError:  # a peer erased the last trash and removed the empty root
        return None
    return None if fd is None else _Lock(path, suffix, fd)


def _erase_locked(root: str, lock: _Lock) -> None:
    from drivers.erase import erase_tree

    try:
        erase_tree(_directory_of(root, lock.suffix))
    except BaseException:
        lock.release()
        raise
    lock.remove()


def _directory_of(root: str, suffix: str) -> str:
    return os.path.join(root, _DIRECTORY + suffix)


def _kind_of(name: str) -> list[str]:
    return [kind for kind in (_LOCK, _DIRECTORY) if name.startswith(kind)]


def _remove_if_empty(root: str) -> None:
    # Tools of 1.43 take every directory in HOME for a layer and miss its link file.
    with contextlib.suppress(OSError):
        os.rmdir(root)
