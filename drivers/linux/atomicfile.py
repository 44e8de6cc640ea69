"""Replace a file as a whole: readers see the old content or the new one, also after a crash.

Used by: what writes small files in backend, drivers and fusefs.heldmounts.
Knows nothing of: what is inside.
The temporary name is the Go tools' (``.tmp-NAME`` and digits), so that both sides recognise litter.
Where a lock keeps other writers of the file away it is always the same, so that the next writer
takes over what a dead one left.
"""

from __future__ import annotations

import contextlib
import os
from typing import Final

PREFIX: Final = ".tmp-"
"""How every temporary name begins."""

_ATTEMPTS: Final = 100
_NAME: Final = 200


class NotFlushedError(OSError):
    """The new content is in its place, but nobody knows whether a power cut leaves it there."""


def replace(
    path: str,
    data: bytes,
    *,
    mode: int = 0o600,
    sync: bool = True,
    locked: bool = False,
) -> os.stat_result:
    """Write *data* to *path* by way of a temporary file beside it; return the new file's status.

    With *sync* the content is on stable storage before the rename, and the rename itself before
    the return. The umask does not count for *mode*. *locked* says that nobody else can be writing
    this file. After an error the old file stands and no temporary file is left.
    """
    directory, name = os.path.split(path)
    above = _open_directory(directory) if sync else None  # while a failure changes nothing
    try:
        fd, temporary = _create(directory, name, mode, locked=locked)
        try:
            try:
                write_all(fd, data)
                if sync:
                    os.fdatasync(fd)
                os.fchmod(fd, mode)
                status = os.fstat(fd)
            finally:
                os.close(fd)
            os.rename(temporary, path)
        except BaseException:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temporary)
            raise
        if above is not None:
            _flush_new(above, path)
    finally:
        if above is not None:
            os.close(above)
    return status


def sync_directory(path: str) -> None:
    """Make the names in a directory durable."""
    fd = _open_directory(path)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def sync_file(path: str) -> None:
    """Make the content of a regular file durable, whatever becomes of its name."""
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        os.fdatasync(fd)
    finally:
        os.close(fd)


def _flush_new(above: int, path: str) -> None:
    try:
        os.fsync(above)
    except OSError as error:
        raise NotFlushedError(error.errno, error.strerror, path) from error


def _open_directory(path: str) -> int:
    return os.open(path or ".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)


def usual_temporary(path: str) -> str:
    """What a writer of *path* that was stopped leaves, if nobody else could be writing it."""
    directory, name = os.path.split(path)
    return os.path.join(directory, f"{PREFIX}{name[:_NAME]}0")


def _create(directory: str, name: str, mode: int, *, locked: bool) -> tuple[int, str]:
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
    start = os.path.join(directory, f"{PREFIX}{name[:_NAME]}")
    for attempt in range(_ATTEMPTS):
        usual = locked and attempt < 2
        temporary = f"{start}{0 if usual else int.from_bytes(os.urandom(4), 'little')}"
        try:
            return os.open(temporary, flags, mode), temporary
        except FileExistsError:
            if usual:
                with contextlib.suppress(OSError):  # a directory has the name: take another
                    os.unlink(temporary)
    raise FileExistsError(f"no free temporary name beside {os.path.join(directory, name)}")


def write_all(fd: int, data: bytes) -> None:
    """Write *data*, of which one call may take a part only."""
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def sync_filesystem(path: str) -> None:
    """Flush the whole file system that *path* is on: everything written so far is then durable."""
    from drivers.linux import syscalls  # not needed to list a store

    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        syscalls.function("syncfs", fd, path=path)
    finally:
        os.close(fd)
