"""Open what must be a regular file: a FIFO never answers, and a device never ends.

Used by: backend.{api,files}, drivers.{overlay,linux}, fusefs.heldmounts.
Knows nothing of: what is inside.
"""

from __future__ import annotations

import errno
import os
import stat
from typing import Final

_OTHERS: Final = {
    errno.EISDIR: "it is a directory",
    errno.ELOOP: "it is a link",
    errno.ENXIO: "it is no regular file",
}
"""Why the kernel opens no regular file; links are followed, unless O_NOFOLLOW forbids it."""


class NotRegularError(OSError):
    """Something else has the name."""

    def __init__(self, path: str, what: str) -> None:
        super().__init__(errno.EINVAL, what, path)
        self.what = what


def read(path: str) -> bytes:
    """The whole content. Raises NotRegularError, and FileNotFoundError as open(2)."""
    with open(open_fd(path, os.O_RDONLY), "rb") as file:
        return file.read()


def open_fd(path: str, flags: int) -> int:
    """Open it with O_CLOEXEC and without waiting. Raises NotRegularError."""
    try:
        fd = os.open(path, flags | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if error.errno not in _OTHERS:
            raise
        raise NotRegularError(path, _OTHERS[error.errno]) from error
    try:
        kind = stat.S_IFMT(os.fstat(fd).st_mode)
    except OSError:
        os.close(fd)
        raise
    if kind == stat.S_IFREG:
        return fd
    os.close(fd)
    what = "a directory" if kind == stat.S_IFDIR else "no regular file"
    raise NotRegularError(path, f"it is {what}")
