"""Opening a path that cannot lead out of a directory, whatever links are on the way.

Used by: drivers, backend.api, fusefs's passthrough nodes. Knows nothing of: layers.
"""

import errno
import os
import struct
from typing import Final

from drivers.linux import syscalls

_NO_XDEV: Final = 0x01
_NO_MAGICLINKS: Final = 0x02
_NO_SYMLINKS: Final = 0x04
_BENEATH: Final = 0x08
_IN_ROOT: Final = 0x10
_ATTEMPTS: Final = 128
_HOW: Final = struct.Struct("=QQQ")  # flags, mode, resolve


def open_beneath(
    root_fd: int, path: bytes, flags: int, mode: int = 0, *, follow_last: bool = False
) -> int:
    """Open *path* as a process would whose root directory is *root_fd*.

    Absolute links and ``..`` stay inside. A link as the last component is ELOOP (or, with
    O_PATH, opened itself) unless *follow_last*. *mode* counts with O_CREAT only.
    """
    resolve = _IN_ROOT | _NO_MAGICLINKS
    return _open(root_fd, path, flags if follow_last else flags | os.O_NOFOLLOW, mode, resolve)


def open_inside(directory: int, path: bytes, flags: int) -> int:
    """Open *path* below *directory*, following no link at all and crossing no mount (EXDEV)."""
    return _open(directory, path, flags, 0, _BENEATH | _NO_SYMLINKS | _NO_XDEV)


def _open(directory: int, path: bytes, flags: int, mode: int, resolve: int) -> int:
    creates = flags & os.O_CREAT or flags & os.O_TMPFILE == os.O_TMPFILE
    how = _HOW.pack(flags | os.O_CLOEXEC, mode if creates else 0, resolve)
    name = path or b"."
    for _ in range(_ATTEMPTS):
        try:
            return syscalls.call(syscalls.OPENAT2, directory, name, how, len(how), path=name)
        except BlockingIOError:  # something was renamed while the kernel walked a ".."
            continue
    raise syscalls.error(errno.EAGAIN, path)
