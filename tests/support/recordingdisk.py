"""A disk that remembers every write: one file in a FUSE mount, for a loop device to stand on.

Used by: tests/crash. Run as ``python -m tests.support.recordingdisk MOUNTPOINT IMAGE LOG``; prints
a line when it is mounted and ends when it is unmounted. The log has one record for each write and
each flush, in the order in which they arrived, and one for each text written to the file ``mark``.
The page cache of the loop device's file is written through: the order is that of the block layer.
"""

import errno
import os
import stat
import struct
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import pyfuse3
import trio

DISK: Final = b"disk"
MARK: Final = b"mark"
_INODES: Final = {DISK: 2, MARK: 3}
_HEAD: Final = struct.Struct("<cQI")


class Write(NamedTuple):
    """Bytes that reached the disk."""

    offset: int
    data: bytes


class Flush(NamedTuple):
    """Every write before it is on the disk from now on, whatever happens."""


class Mark(NamedTuple):
    """What the user of the disk had to say at this point."""

    text: str


Entry = Write | Flush | Mark


def read_log(path: Path) -> Iterator[Entry]:
    """The records of a log in their order."""
    with path.open("rb") as log:
        while head := log.read(_HEAD.size):
            kind, offset, length = _HEAD.unpack(head)
            data = log.read(length)
            match kind:
                case b"W":
                    yield Write(offset, data)
                case b"F":
                    yield Flush()
                case _:
                    yield Mark(data.decode())


def start(mount_point: Path, image: Path, log: Path) -> subprocess.Popen[bytes]:
    """Serve *image* as ``mount_point/disk`` in a child process; returns when it is mounted."""
    words = [sys.executable, "-m", "tests.support.recordingdisk"]
    child = subprocess.Popen(
        [*words, str(mount_point), str(image), str(log)], stdout=subprocess.PIPE
    )
    assert child.stdout is not None
    assert child.stdout.readline() == b"mounted\n"
    return child


class _Disk(pyfuse3.Operations):
    def __init__(self, image: str, log: str) -> None:
        super().__init__()
        self._image = os.open(image, os.O_RDWR)
        self._log = open(log, "ab", buffering=0)  # noqa: SIM115 - lives as long as the mount

    async def getattr(
        self, inode: pyfuse3.InodeT, ctx: pyfuse3.RequestContext | None = None
    ) -> pyfuse3.EntryAttributes:
        del ctx
        entry = pyfuse3.EntryAttributes()
        entry.st_ino = inode
        entry.st_mode = (
            stat.S_IFDIR | 0o755 if inode == pyfuse3.ROOT_INODE else stat.S_IFREG | 0o600
        )
        entry.st_nlink = 1
        entry.st_size = os.fstat(self._image).st_size if inode == _INODES[DISK] else 0
        return entry

    async def lookup(
        self, parent_inode: pyfuse3.InodeT, name: bytes, ctx: pyfuse3.RequestContext
    ) -> pyfuse3.EntryAttributes:
        del parent_inode
        if name not in _INODES:
            raise pyfuse3.FUSEError(errno.ENOENT)
        return await self.getattr(pyfuse3.InodeT(_INODES[name]), ctx)

    async def setattr(
        self,
        inode: pyfuse3.InodeT,
        attr: pyfuse3.EntryAttributes,
        fields: pyfuse3.SetattrFields,
        fh: pyfuse3.FileHandleT | None,
        ctx: pyfuse3.RequestContext,
    ) -> pyfuse3.EntryAttributes:
        del attr, fields, fh
        return await self.getattr(inode, ctx)

    async def open(
        self, inode: pyfuse3.InodeT, flags: pyfuse3.FlagT, ctx: pyfuse3.RequestContext
    ) -> pyfuse3.FileInfo:
        del flags, ctx
        return pyfuse3.FileInfo(fh=pyfuse3.FileHandleT(inode))

    async def read(self, fh: pyfuse3.FileHandleT, off: int, size: int) -> bytes:
        return os.pread(self._image, size, off) if fh == _INODES[DISK] else b""

    async def write(self, fh: pyfuse3.FileHandleT, off: int, buf: bytes) -> int:
        if fh == _INODES[DISK]:
            os.pwrite(self._image, buf, off)
            self._log.write(_HEAD.pack(b"W", off, len(buf)) + buf)
        else:
            self._log.write(_HEAD.pack(b"M", 0, len(buf)) + buf)
        return len(buf)

    async def fsync(self, fh: pyfuse3.FileHandleT, datasync: bool) -> None:
        self._log.write(_HEAD.pack(b"F", 0, 0))


def _main(words: Sequence[str]) -> None:
    mount_point, image, log = words
    pyfuse3.init(_Disk(image, log), mount_point, {"fsname=recordingdisk"})
    sys.stdout.write("mounted\n")
    sys.stdout.flush()
    try:
        trio.run(pyfuse3.main)
    finally:
        pyfuse3.close(unmount=False)


if __name__ == "__main__":
    _main(sys.argv[1:])
