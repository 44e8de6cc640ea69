"""Replace a file as a whole: readers see the old content or the new one, also after a crash.

Used by: backend.files, drivers.overlay (link and lower files). Knows nothing of: what is inside.
The temporary name is the Go tools' (``.tmp-NAME`` and digits), so that both sides recognise litter.
"""

from __future__ import annotations

import contextlib
import os
from typing import Final

_ATTEMPTS: Final = 100


def replace(
    path: str, data: bytes, *, mode: int = 0o600, sync: bool = True, exact_mode: bool = True
) -> os.stat_result:
    """Write *data* to *path* by way of a temporary file beside it; return the new file's status.

    With *sync* the content is on stable storage before the rename, and the rename itself before
    the return. With *exact_mode* the umask does not count. After an error the old file stands
    and no temporary file is left.
    """
    directory, name = os.path.split(path)
    fd, temporary = _create(directory, name, mode)
    try:
        try:
            _write_all(fd, data)
            if sync:
                os.fdatasync(fd)
            if exact_mode:
                os.fchmod(fd, mode)
            status = os.fstat(fd)
        finally:
            os.close(fd)
        os.rename(temporary, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise
    if sync:
        sync_directory(directory)
    return status


def sync_directory(path: str) -> None:
    """Make the names in a directory durable."""
    fd = os.open(path or ".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _create(directory: str, name: str, mode: int) -> tuple[int, str]:
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
    for _ in range(_ATTEMPTS):
        suffix = int.from_bytes(os.urandom(4), "little")
        temporary = os.path.join(directory, f".tmp-{name[:200]}{suffix}")
        try:
            return os.open(temporary, flags, mode), temporary
        except FileExistsError:
            continue
    raise FileExistsError(f"no free temporary name beside {os.path.join(directory, name)}")


def _write_all(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def sync_filesystem(path: str) -> None:
    """Flush the whole file system that *path* is on: everything written so far is then durable."""
    import ctypes  # not needed to list a store

    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        if ctypes.CDLL(None, use_errno=True).syncfs(ctypes.c_int(fd)) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), path)
    finally:
        os.close(fd)
