"""Opening a path that cannot lead out of a directory, whatever links are on the way.

Used by: drivers, fusefs's passthrough nodes. Knows nothing of: layers.
"""

import ctypes
import errno
import os
from typing import Final

from drivers.linux import syscalls

_NO_MAGICLINKS: Final = 0x02
_IN_ROOT: Final = 0x10
_ATTEMPTS: Final = 128


class _OpenHow(ctypes.Structure):
    _fields_ = (
        ("flags", ctypes.c_uint64),
        ("mode", ctypes.c_uint64),
        ("resolve", ctypes.c_uint64),
    )


def open_beneath(
    root_fd: int, path: bytes, flags: int, mode: int = 0, *, follow_last: bool = False
) -> int:
    """Open *path* as a process would whose root directory is *root_fd*.

    Absolute links and ``..`` stay inside. A link as the last component is ELOOP (or, with
    O_PATH, opened itself) unless *follow_last*. *mode* counts with O_CREAT only.
    """
    creates = flags & os.O_CREAT or flags & os.O_TMPFILE == os.O_TMPFILE
    how = _OpenHow(
        flags=flags | os.O_CLOEXEC | (0 if follow_last else os.O_NOFOLLOW),
        mode=mode if creates else 0,
        resolve=_IN_ROOT | _NO_MAGICLINKS,
    )
    for _ in range(_ATTEMPTS):
        try:
            return syscalls.call(
                syscalls.OPENAT2, root_fd, path or b".", how, ctypes.sizeof(how), path=path or b"."
            )
        except BlockingIOError:  # something was renamed while the kernel walked a ".."
            continue
    raise syscalls.error(errno.EAGAIN, path)
