"""Record locks on whole files, tied to an open file description (fcntl F_OFD_SETLK).

Used by: backend.files.lockfile, and through it everything that locks a store; drivers.trash;
fusefs.heldmounts and mountpoint.
Knows nothing of: threads, tokens, what a file protects.

The Go tools take POSIX record locks (F_SETLK). Those belong to a process and vanish when it closes
*any* descriptor of the file; locks of an open file description conflict with them in both
directions, survive such a close and exclude threads. A forked child shares them, so descriptors
must be close-on-exec and helpers must be exec'd.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import struct
import time
from collections.abc import Iterator
from typing import Final

from drivers.linux.process import command_name

# struct flock: l_type, l_whence, l_start, l_len (0 = to infinity), l_pid (0 for this kind of lock).
_FLOCK: Final = struct.Struct("@hhqqi0q")
_BUSY: Final = (errno.EAGAIN, errno.EACCES)
_SHORTEST_WAIT: Final = 0.0005
_LONGEST_WAIT: Final = 0.005


def try_lock(fd: int, *, exclusive: bool) -> bool:
    """Lock the whole file if nobody is in the way; never waits.

    An exclusive lock needs a writable descriptor, a shared one a readable one.
    """
    try:
        fcntl.fcntl(fd, fcntl.F_OFD_SETLK, _flock(fcntl.F_WRLCK if exclusive else fcntl.F_RDLCK))
    except OSError as exc:
        if exc.errno in _BUSY:
            return False
        raise
    return True


def lock(fd: int, *, exclusive: bool, seconds: float | None = None) -> bool:
    """Lock the whole file, waiting up to *seconds* (None: for ever); False when time is up.

    With a limit it asks again every few milliseconds: a blocked fcntl could not be called off.
    """
    if seconds is None:
        kind = fcntl.F_WRLCK if exclusive else fcntl.F_RDLCK
        fcntl.fcntl(fd, fcntl.F_OFD_SETLKW, _flock(kind))
        return True
    deadline = time.monotonic() + seconds
    wait = _SHORTEST_WAIT
    while not try_lock(fd, exclusive=exclusive):
        left = deadline - time.monotonic()
        if left <= 0:
            return False
        time.sleep(min(wait, left))
        wait = min(wait * 2, _LONGEST_WAIT)
    return True


def take_file(path: str) -> int | None:
    """Make or open a lock file and lock it; None if it is in use, or went away meanwhile.

    For files that their holder unlinks before closing the descriptor: a lock that was got on one
    that is not at *path* any more is worth nothing.
    """
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    taken = False
    try:
        taken = try_lock(fd, exclusive=True) and _is_still_there(path, fd)
    finally:
        if not taken:
            os.close(fd)
    return fd if taken else None


def give_up_file(path: str, fd: int) -> None:
    """Undo :func:`take_file`: unlink first, so that nobody locks a file that is about to vanish."""
    try:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
    finally:
        os.close(fd)


def _is_still_there(path: str, fd: int) -> bool:
    """A peer may have unlinked the lock file between our open and our lock."""
    try:
        return os.path.samestat(os.lstat(path), os.fstat(fd))
    except FileNotFoundError:
        return False


def holders(fd: int) -> list[str]:
    """Who holds a lock on the file, each as ``NAME (PID)``: text for people, may be incomplete."""
    probe = fcntl.fcntl(fd, fcntl.F_OFD_GETLK, _flock(fcntl.F_WRLCK))
    kind, _, _, _, pid = _FLOCK.unpack(probe)
    if kind == fcntl.F_UNLCK:
        return []
    if pid > 0:
        return [f"{command_name(pid)} ({pid})"]
    return [f"{command_name(pid)} ({pid})" for pid in _description_lock_holders(os.fstat(fd))]


def _flock(kind: int) -> bytes:
    return _FLOCK.pack(kind, os.SEEK_SET, 0, 0, 0)


def _description_lock_holders(status: os.stat_result) -> Iterator[int]:
    """PIDs with a lock of this kind on the inode: the kernel tells no PID, fdinfo does."""
    inode = f"ino:\t{status.st_ino}\n"
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        directory = f"/proc/{entry}/fdinfo"
        try:
            descriptors = os.listdir(directory)
        except OSError:
            continue
        if any(_locks(f"{directory}/{name}", inode) for name in descriptors):
            yield int(entry)


def _locks(fdinfo: str, inode: str) -> bool:
    try:
        with open(fdinfo, encoding="ascii", errors="replace") as file:
            text = file.read()
    except OSError:
        return False
    return inode in text and "OFDLCK" in text
