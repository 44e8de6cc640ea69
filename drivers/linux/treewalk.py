"""All entries below a directory, sorted as archives are, by descriptors that lead nowhere else.

Used by: whatever in drivers looks at all of a tree. Knows nothing of: what entries mean.

What vanishes or becomes something else while the walk goes on is left out, without an error.
"""

import errno
import os
import stat
from collections.abc import Callable, Generator
from typing import Final, NamedTuple

from drivers.linux import syscalls

_MOST_OPEN: Final = 64
_DIRECTORY: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
GONE: Final = (FileNotFoundError, NotADirectoryError)
"""What opening a directory raises that was there a moment ago."""
CHANGED: Final = frozenset(
    {errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENXIO, errno.EINVAL, errno.ENODATA}
)
"""How a call fails for an entry, or its attribute, that is gone or no longer what it was."""


class Found(NamedTuple):
    """One entry. ``parent`` is a descriptor that is good until the walk goes on."""

    parent: int
    name: bytes
    path: bytes
    status: os.stat_result


class _Level:
    """A directory that is being read; those far above are closed meanwhile (-1)."""

    __slots__ = ("fd", "identity", "names", "prefix")

    def __init__(self, fd: int, prefix: bytes) -> None:
        self.fd = fd
        self.prefix = prefix
        status = os.fstat(fd)
        self.identity = (status.st_dev, status.st_ino)
        self.names = sorted(map(os.fsencode, os.listdir(fd)), reverse=True)


def _always(_found: Found) -> bool:
    return True


def walk(root: int, enters: Callable[[Found], bool] = _always) -> Generator[Found, None, None]:
    """Yield what is below the directory *root*, each directory before its content.

    The names of a directory come in the order of their bytes. *enters* is asked for each
    directory when the walk goes on. No more than 64 descriptors are open, however deep it goes.
    """
    levels = [_Level(os.open(".", _DIRECTORY, dir_fd=root), b"")]
    try:
        while levels:
            level = levels[-1]
            if not level.names:
                _leave(levels)
                continue
            name = level.names.pop()
            try:
                status = os.stat(name, dir_fd=level.fd, follow_symlinks=False)
            except FileNotFoundError:
                continue
            found = Found(level.fd, name, level.prefix + name, status)
            yield found
            if stat.S_ISDIR(status.st_mode) and enters(found):
                _enter(levels, found)
    finally:
        for level in levels:
            if level.fd >= 0:
                os.close(level.fd)


def _enter(levels: list[_Level], found: Found) -> None:
    try:
        fd = os.open(found.name, _DIRECTORY, dir_fd=found.parent)
    except GONE:
        return
    try:
        levels.append(_Level(fd, found.path + b"/"))
    except BaseException:
        os.close(fd)
        raise
    if len(levels) > _MOST_OPEN:
        far = levels[-1 - _MOST_OPEN]
        os.close(far.fd)
        far.fd = -1


def _leave(levels: list[_Level]) -> None:
    """Go back to the directory above, which must be where it was."""
    done = levels[-1]
    if len(levels) > 1 and levels[-2].fd < 0:
        above = levels[-2]
        fd = os.open("..", _DIRECTORY, dir_fd=done.fd)
        status = os.fstat(fd)
        if (status.st_dev, status.st_ino) != above.identity:
            os.close(fd)
            raise syscalls.error(errno.ESTALE, above.prefix, "moved while it was read")
        above.fd = fd
    os.close(done.fd)
    levels.pop()
