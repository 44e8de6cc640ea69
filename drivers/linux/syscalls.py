"""One way to make a system call that has no Python function.

Used by: the other modules of drivers.linux. Knows nothing of: what any call means.
"""

import ctypes
import errno
import os
from typing import Final

_libc: Final = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long

# Numbers since Linux 5.2 are the same on every architecture that Debian supports but alpha.
OPEN_TREE: Final = 428
MOVE_MOUNT: Final = 429
FSOPEN: Final = 430
FSCONFIG: Final = 431
FSMOUNT: Final = 432
OPENAT2: Final = 437
MOUNT_SETATTR: Final = 442

AT_FDCWD: Final = -100
AT_EMPTY_PATH: Final = 0x1000

Argument = int | bytes | ctypes.Array[ctypes.c_char] | ctypes.Structure | None


def call(number: int, *arguments: Argument, path: str | bytes = "") -> int:
    """Make system call *number*; OSError carries *path* when it fails. EINTR is repeated."""
    prepared = [_prepare(argument) for argument in arguments]
    while True:
        result: int = _libc.syscall(ctypes.c_long(number), *prepared)
        if result >= 0:
            return result
        if ctypes.get_errno() != errno.EINTR:
            raise error(ctypes.get_errno(), path)


def error(number: int, path: str | bytes, detail: str = "") -> OSError:
    """Return the OSError (of the right subclass) for errno *number*."""
    reason = os.strerror(number) + (f" ({detail})" if detail else "")
    return OSError(number, reason, os.fsdecode(path)) if path else OSError(number, reason)


def _prepare(argument: Argument) -> object:
    match argument:
        case None:
            return ctypes.c_void_p(None)
        case int():
            return ctypes.c_long(argument)
        case bytes():
            return ctypes.c_char_p(argument)
        case _:
            return ctypes.byref(argument)
