"""Equal files of several trees share their blocks, where the file system can do that.

Used by: the drivers, which know the directories. Knows nothing of: layers.

Files are candidates for each other if they agree in what the method looks at; whether they are
equal is the kernel's to say. Nothing changes but where the blocks are, not even a time.
"""

import errno
import hashlib
import os
import stat
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Final, NamedTuple

from drivers.linux.beneath import open_inside
from drivers.linux.descriptors import all_open
from drivers.linux.reflink import share_content
from drivers.linux.treewalk import walk
from drivers.protocol import DedupMethod

_BUFFER: Final = 1 << 20
_CANNOT: Final = (errno.EOPNOTSUPP, errno.ENOTTY, errno.ENOSYS)
_NOT_THESE: Final = (errno.EXDEV, errno.EINVAL, errno.EPERM, errno.ETXTBSY)
_MOST_DIFFERENT: Final = 16
"""How many different files of one group are kept to compare others with."""
_READING: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK


class _File(NamedTuple):
    root: int
    path: bytes
    size: int

    def open(self) -> int | None:
        """A descriptor of it; None if it is not what it was."""
        try:
            fd = open_inside(self.root, self.path, _READING)
        except OSError:
            return None
        status = os.fstat(fd)
        if stat.S_ISREG(status.st_mode) and status.st_size == self.size:
            return fd
        os.close(fd)
        return None


def share_equal_files(directories: Sequence[str], method: DedupMethod) -> int:
    """Share what files below *directories* have in common; return how many bytes that are.

    Stops without an error on a file system that cannot share.
    """
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
    with all_open(os.open(path, flags) for path in directories) as roots:
        sizes = Counter(file.size for file in _files(roots))
        candidates = (file for file in _files(roots) if sizes[file.size] > 1)
        return _share(candidates, _KEYS[method])


def _files(roots: Sequence[int]) -> Iterator[_File]:
    """Every regular file with content, each inode once."""
    several_names: set[tuple[int, int]] = set()
    for root in roots:
        for found in walk(root):
            status = found.status
            if not stat.S_ISREG(status.st_mode) or not status.st_size:
                continue
            identity = status.st_dev, status.st_ino
            if status.st_nlink > 1 and identity in several_names:
                continue
            if status.st_nlink > 1:
                several_names.add(identity)
            yield _File(root, found.path, status.st_size)


def _share(candidates: Iterator[_File], key_of: Callable[[int, int], bytes]) -> int:
    groups: dict[tuple[int, bytes], list[_File]] = {}
    saved = 0
    for file in candidates:
        fd = file.open()
        if fd is None:
            continue
        try:
            group = groups.setdefault((file.size, key_of(fd, file.size)), [])
            shared = _share_with_one(file, fd, group)
        except OSError as refused:
            if refused.errno in _CANNOT:
                return saved
            raise
        finally:
            os.close(fd)
        saved += shared
        if shared < file.size and len(group) < _MOST_DIFFERENT:
            group.append(file)
    return saved


def _share_with_one(file: _File, fd: int, group: Sequence[_File]) -> int:
    """Share *file*, open as *fd*, with the first of *group* that is the same."""
    for other in group:
        source = other.open()
        if source is None:
            continue
        try:
            shared = share_content(source, fd, file.size)
        except OSError as refused:
            if refused.errno not in _NOT_THESE:
                raise
            continue
        finally:
            os.close(source)
        if shared:
            return shared
    return 0


def _by_size(fd: int, size: int) -> bytes:
    del fd, size
    return b""


def _by_crc(fd: int, size: int) -> bytes:
    from fastcrc import crc64

    value = 0
    for offset in range(0, size, _BUFFER):
        value = crc64.xz(os.pread(fd, _BUFFER, offset), value)
    return value.to_bytes(8, "big")


def _by_sha256(fd: int, size: int) -> bytes:
    digest = hashlib.sha256()
    for offset in range(0, size, _BUFFER):
        digest.update(os.pread(fd, _BUFFER, offset))
    return digest.digest()


_KEYS: Final = {
    DedupMethod.CRC: _by_crc,
    DedupMethod.SIZE: _by_size,
    DedupMethod.SHA256: _by_sha256,
}
