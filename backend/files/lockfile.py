"""The lock files of a store, shared with the Go tools, and the last-write tokens in them.

Used by: backend.stores. Knows nothing of: records, lock order (backend.stores.transaction).

One entry per lock inode and process: threads are excluded by our own lock first, then other
processes by a lock of the one open file description, which all readers of this process share.
The descriptor is opened at the first holder and closed after the last, as in Go, so a lock file
that was replaced meanwhile (a store made anew) is noticed. The token is read and written through
that descriptor only.
"""

from __future__ import annotations

import os
import stat
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final

from backend.errors import LockFileError, LockTimeoutError, ReadOnlyStoreError
from backend.files.rwlock import ReadWriteLock
from drivers.linux import recordlock, regularfile

TOKEN_BYTES: Final = 64
_TOKEN: Final = struct.Struct("<QQI44s")  # time, counter, PID, random; only equality is tested
_ATTEMPTS: Final = 16


class HeldLock:
    """Proof that a lock is held, and the way to its token. Valid inside its with-block only.

    ``partner`` is a lock that is held together with it and whose token is renewed with its own.
    """

    def __init__(
        self, path: str, fd: int, *, exclusive: bool, partner: HeldLock | None = None
    ) -> None:
        self.path, self.exclusive = path, exclusive
        self._fd, self._partner = fd, partner

    def together_with(self, partner: HeldLock) -> HeldLock:
        """Both locks as one, whose token changes when either's does."""
        return HeldLock(self.path, self._fd, exclusive=self.exclusive, partner=partner)

    def token(self) -> bytes:
        """What the last writer left; shorter than 64 bytes while nobody has written."""
        own = os.pread(self._fd, TOKEN_BYTES, 0)
        return own + self._partner.token() if self._partner else own

    def renew_token(self) -> bytes:
        """Announce a change: write a fresh token and return it. Call it before the change."""
        if not self.exclusive:
            raise ReadOnlyStoreError(self.path)
        token = _new_token()
        os.pwrite(self._fd, token, 0)
        return token + self._partner.renew_token() if self._partner else token


class _Entry:
    """What one process knows of one lock inode."""

    def __init__(self) -> None:
        self.threads = ReadWriteLock()
        # Guards fd and holders. fd >= 0 exactly while holders > 0.
        self.mutex = threading.Lock()
        self.fd = -1
        self.holders = 0
        # Guarded by _registry_mutex: how many calls are using the entry at all.
        self.users = 0


_registry: Final[dict[tuple[int, int], _Entry]] = {}
_registry_mutex: Final = threading.Lock()
_counter = 0


@contextmanager
def locked(
    path: str, *, exclusive: bool, create: bool = True, seconds: float | None = None
) -> Iterator[HeldLock | None]:
    """Hold the lock in *path*. Raises LockTimeoutError after *seconds* (None: wait for ever).

    Without *create*, yields None where there is no lock file that we may open: the store is then
    read without one, and the reader must check again afterwards.
    """
    deadline = None if seconds is None else time.monotonic() + seconds
    acquired = _acquire(path, exclusive=exclusive, create=create, deadline=deadline)
    if acquired is None:
        yield None
        return
    key, entry = acquired
    try:
        yield HeldLock(path, entry.fd, exclusive=exclusive)
    finally:
        _release(key, entry, exclusive=exclusive)


def _acquire(
    path: str, *, exclusive: bool, create: bool, deadline: float | None
) -> tuple[tuple[int, int], _Entry] | None:
    for _ in range(_ATTEMPTS):
        key = _identity(path, create=create)
        if key is None:
            return None
        entry = _use(key)
        try:
            done = _hold(path, key, entry, exclusive=exclusive, deadline=deadline)
        except PermissionError:
            _stop_using(key, entry)
            if create:
                raise
            return None
        except BaseException:
            _stop_using(key, entry)
            raise
        if done:
            return key, entry
        _stop_using(key, entry)
    raise LockTimeoutError(path, 0, "a process that keeps replacing the file")


def _hold(
    path: str, key: tuple[int, int], entry: _Entry, *, exclusive: bool, deadline: float | None
) -> bool:
    """Take both locks; False if *path* names another file by now."""
    threads = entry.threads
    wait, leave = (
        (threads.acquire_write, threads.release_write)
        if exclusive
        else (threads.acquire_read, threads.release_read)
    )
    started = time.monotonic()
    if not wait(None if deadline is None else max(0.0, deadline - started)):
        raise LockTimeoutError(path, time.monotonic() - started, "another thread of this process")
    try:
        with entry.mutex:
            if entry.holders == 0:
                entry.fd = _open_locked(path, key, exclusive=exclusive, deadline=deadline)
            if entry.fd < 0:
                leave()
                return False
            entry.holders += 1
    except BaseException:
        leave()
        raise
    return True


def _open_locked(
    path: str, key: tuple[int, int], *, exclusive: bool, deadline: float | None
) -> int:
    """A descriptor with the lock on it; -1 if *path* is not the file *key* any more."""
    flags = (os.O_RDWR if exclusive else os.O_RDONLY) | os.O_NOFOLLOW
    left = None if deadline is None else max(0.0, deadline - time.monotonic())
    try:
        fd = regularfile.open_fd(path, flags)
    except FileNotFoundError:
        return -1
    except regularfile.NotRegularError as exc:
        raise LockFileError(path, exc.what) from None
    try:
        if _key(os.fstat(fd)) != key:
            os.close(fd)
            return -1
        _lock_description(path, fd, exclusive=exclusive, seconds=left)
        if _identity(path, create=False) != key:  # replaced while we waited
            os.close(fd)
            return -1
    except BaseException:
        with suppress(OSError):
            os.close(fd)
        raise
    return fd


def _lock_description(path: str, fd: int, *, exclusive: bool, seconds: float | None) -> None:
    if not recordlock.lock(fd, exclusive=exclusive, seconds=seconds):
        holder = ", ".join(recordlock.holders(fd)) or "another process"
        raise LockTimeoutError(path, seconds or 0.0, holder)


def _release(key: tuple[int, int], entry: _Entry, *, exclusive: bool) -> None:
    with entry.mutex:
        entry.holders -= 1
        if entry.holders == 0:
            os.close(entry.fd)
            entry.fd = -1
    if exclusive:
        entry.threads.release_write()
    else:
        entry.threads.release_read()
    _stop_using(key, entry)


def _use(key: tuple[int, int]) -> _Entry:
    with _registry_mutex:
        entry = _registry.setdefault(key, _Entry())
        entry.users += 1
        return entry


def _stop_using(key: tuple[int, int], entry: _Entry) -> None:
    with _registry_mutex:
        entry.users -= 1
        if entry.users == 0:
            del _registry[key]


def _identity(path: str, *, create: bool) -> tuple[int, int] | None:
    try:
        status = os.lstat(path)  # a link might lead to a file that is not the store's
        if not stat.S_ISREG(status.st_mode):
            raise LockFileError(path, "it is no regular file")
        return _key(status)
    except FileNotFoundError:
        if not create:
            return None
    except PermissionError:
        if create:
            raise
        return None
    os.makedirs(os.path.dirname(path), 0o700, exist_ok=True)
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        return _key(os.fstat(fd))
    finally:
        os.close(fd)


def _key(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino


def _new_token() -> bytes:
    global _counter  # noqa: PLW0603 - the token's per-process counter; only equality matters
    with _registry_mutex:
        _counter += 1
        count = _counter
    return _TOKEN.pack(time.time_ns(), count, os.getpid(), os.urandom(44))
