"""All entries below a directory, sorted as archives are, by descriptors that lead nowhere else.

Used by: whatever in drivers looks at all of a tree. Knows nothing of: what entries mean.

What vanishes or becomes something else while the walk goes on is left out, without an error.
"""

import errno
import os
import stat
from collections.abc import Callable, Generator
from typing import Final, NamedTuple, TypeVar

from drivers.linux import syscalls

_MOST_OPEN: Final = 64
_DIRECTORY: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
GONE: Final = (FileNotFoundError, NotADirectoryError)
"""What opening a directory raises that was there a moment ago."""
CHANGED: Final = frozenset(
    {errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENXIO, errno.EINVAL, errno.ENODATA}
)
"""How a call fails for an entry, or its attribute, that is gone or no longer what it was."""


T = TypeVar("T")


def attempt(look: Callable[[], T]) -> T | None:
    """Return what *look* returns; None where an entry is gone, or no longer what it was."""
    try:
        return look()
    except OSError as failure:
        if failure.errno not in CHANGED:
            raise
        return None


class Found(NamedTuple):
    """One entry. ``parent`` is a descriptor that is good until the walk goes on."""

    parent: int
    name: bytes
    path: bytes
    status: os.stat_result


class Listing(NamedTuple):
    """One directory. ``fd``, and what ``entries`` ask of it, is good until the walk goes on.

    ``prefix`` goes before their names: ``b""`` for the root of the walk, ``b"etc/"`` below.
    """

    fd: int
    prefix: bytes
    entries: list[os.DirEntry[str]]


class _Level:
    """A directory, and which names in it are still to visit, the last one first.

    None is: all that it has. Those far above the current one are closed meanwhile (-1).
    """

    __slots__ = ("fd", "identity", "names", "prefix")

    def __init__(self, fd: int, prefix: bytes) -> None:
        self.fd = fd
        self.prefix = prefix
        self.identity = (0, 0)
        self.names: list[bytes] | None = None


def listings(root: int) -> Generator[Listing, None, None]:
    """Yield the directory *root* and all below it, each before those that it contains.

    Entries come as the file system lists them; as a rule it tells their kinds without a call for
    each. No more than 64 descriptors are open, however deep it goes.
    """
    levels = [_Level(os.open(".", _DIRECTORY, dir_fd=root), b"")]
    try:
        while levels:
            level = levels[-1]
            if level.names is None:
                with os.scandir(level.fd) as listed:
                    entries = list(listed)
                yield Listing(level.fd, level.prefix, entries)
                below = (entry.name for entry in entries if entry.is_dir(follow_symlinks=False))
                level.names = [os.fsencode(name) for name in below]
            elif level.names:
                _enter(levels, level.names.pop())
            else:
                _leave(levels)
    finally:
        _close(levels)


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
            if level.names is None:
                level.names = sorted(map(os.fsencode, os.listdir(level.fd)), reverse=True)
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
                _enter(levels, name)
    finally:
        _close(levels)


def _close(levels: list[_Level]) -> None:
    for level in levels:
        if level.fd >= 0:
            os.close(level.fd)


def _enter(levels: list[_Level], name: bytes) -> None:
    above = levels[-1]
    try:
        fd = os.open(name, _DIRECTORY, dir_fd=above.fd)
    except GONE:
        return
    levels.append(_Level(fd, above.prefix + name + b"/"))
    if len(levels) > _MOST_OPEN:
        far = levels[-1 - _MOST_OPEN]
        status = os.fstat(far.fd)
        far.identity = (status.st_dev, status.st_ino)
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
