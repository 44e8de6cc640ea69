"""Copying a file's content without copying it, where the file system can share it.

Used by: drivers.vfs, drivers.dedup. Knows nothing of: owners, modes, times.
"""

import errno
import fcntl
import os
import struct
from typing import Final

from drivers.linux.atomicfile import write_all

_FICLONE: Final = 0x40049409
_FIDEDUPERANGE: Final = 0xC0189436
# struct file_dedupe_range with one file_dedupe_range_info: source offset and length, how many
# targets, reserved; target, its offset, bytes done, status (0: same, 1: differs), reserved.
_DEDUPE: Final = struct.Struct("=QQHHIqQQiI")
_CHUNK: Final = 1 << 30
_SHARED_AT_ONCE: Final = 1 << 24
_BUFFER: Final = 1 << 20
_CANNOT: Final = (
    errno.EOPNOTSUPP,
    errno.EXDEV,
    errno.EINVAL,
    errno.ENOSYS,
    errno.ENOTTY,
    errno.EPERM,
    errno.ETXTBSY,
)


def copy_content(source: int, target: int) -> None:
    """Make the empty file *target* have the content of *source*: shared, or else copied."""
    try:
        fcntl.ioctl(target, _FICLONE, source)
    except OSError as refused:
        if refused.errno not in _CANNOT:
            raise
        _copy(source, target)


def _copy(source: int, target: int) -> None:
    try:
        while os.copy_file_range(source, target, _CHUNK):
            pass
    except OSError as refused:
        if refused.errno not in _CANNOT:
            raise
        while data := os.read(source, _BUFFER):
            write_all(target, data)


def share_content(source: int, target: int, size: int) -> int:
    """Let two files of *size* bytes share their blocks as far as their content is the same.

    The kernel compares them under its locks; neither needs to be open for writing if this is root.
    Returns how many bytes they share now: less than *size* if they differ. OSError with EOPNOTSUPP
    where the file system cannot do that, EXDEV for files of different ones.
    """
    done = 0
    while done < size:
        length = min(size - done, _SHARED_AT_ONCE)
        request = bytearray(_DEDUPE.pack(done, length, 1, 0, 0, target, done, 0, 0, 0))
        fcntl.ioctl(source, _FIDEDUPERANGE, request)
        *_, shared, status, _ = _DEDUPE.unpack(request)
        if status < 0:
            raise OSError(-status, os.strerror(-status))
        if status or not shared:
            break
        done += shared
    return done
