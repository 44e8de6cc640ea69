"""One way to make a system call, or one of the C library's, that has no Python function.

Used by: the other modules of drivers.linux, drivers.archive.packentry.
Knows nothing of: what any call means.
ctypes is loaded by the first call: most commands make none.
"""

import errno
import os
from functools import cache
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import ctypes

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

Argument = int | bytes | None
"""Bytes are a text, or a structure that is only read."""


def call(number: int, *arguments: Argument, path: str | bytes = "") -> int:
    """Make system call *number*; OSError carries *path* when it fails. EINTR is repeated."""
    return function("syscall", number, *arguments, path=path)


def function(name: str, *arguments: Argument, path: str | bytes = "") -> int:
    """Call what returns a negative number and sets errno when it fails; see :func:`call`."""
    import ctypes

    called = getattr(_library(), name)
    prepared = [ctypes.c_long(each) if isinstance(each, int) else each for each in arguments]
    while True:
        result: int = called(*prepared)
        if result >= 0:
            return result
        if ctypes.get_errno() != errno.EINTR:
            raise error(ctypes.get_errno(), path)


def error(number: int, path: str | bytes, detail: str = "") -> OSError:
    """Return the OSError (of the right subclass) for errno *number*."""
    reason = os.strerror(number) + (f" ({detail})" if detail else "")
    return OSError(number, reason, os.fsdecode(path)) if path else OSError(number, reason)


@cache
def _library() -> "ctypes.CDLL":
    import ctypes

    library = ctypes.CDLL(None, use_errno=True)
    library.syscall.restype = ctypes.c_long
    return library
