"""A file system that does nothing: what pyfuse3 alone needs for a request.

Used by: tests.bench.requests. Run as ``python -m tests.bench.emptyfs MOUNTPOINT``; prints a line
when it is mounted and ends when it is unmounted. It has an empty directory and an empty file.
"""

import errno
import stat
import sys
from typing import Final

import pyfuse3
import trio

DIRECTORY: Final = b"directory"
FILE: Final = b"file"
_INODES: Final = {DIRECTORY: 2, FILE: 3}
_LIFE: Final = 3600.0
_IDLE_TASKS: Final = 8


class _Empty(pyfuse3.Operations):
    async def getattr(
        self, inode: pyfuse3.InodeT, ctx: pyfuse3.RequestContext | None = None
    ) -> pyfuse3.EntryAttributes:
        del ctx
        entry = pyfuse3.EntryAttributes()
        entry.st_ino = inode
        entry.st_mode = stat.S_IFREG | 0o644 if inode == _INODES[FILE] else stat.S_IFDIR | 0o755
        entry.st_nlink = 1
        entry.attr_timeout = entry.entry_timeout = _LIFE
        return entry

    async def lookup(
        self, parent_inode: pyfuse3.InodeT, name: bytes, ctx: pyfuse3.RequestContext
    ) -> pyfuse3.EntryAttributes:
        del parent_inode
        if name not in _INODES:
            raise pyfuse3.FUSEError(errno.ENOENT)
        return await self.getattr(pyfuse3.InodeT(_INODES[name]), ctx)

    async def opendir(
        self, inode: pyfuse3.InodeT, ctx: pyfuse3.RequestContext
    ) -> pyfuse3.FileHandleT:
        del ctx
        return pyfuse3.FileHandleT(inode)

    async def readdir(
        self, fh: pyfuse3.FileHandleT, start_id: int, token: pyfuse3.ReaddirToken
    ) -> None:
        """Nothing is in a directory."""

    async def releasedir(self, fh: pyfuse3.FileHandleT) -> None:
        """Nothing is held."""

    async def open(
        self, inode: pyfuse3.InodeT, flags: pyfuse3.FlagT, ctx: pyfuse3.RequestContext
    ) -> pyfuse3.FileInfo:
        del flags, ctx
        return pyfuse3.FileInfo(fh=pyfuse3.FileHandleT(inode))

    async def flush(self, fh: pyfuse3.FileHandleT) -> None:
        """Nothing is held back."""

    async def release(self, fh: pyfuse3.FileHandleT) -> None:
        """Nothing is held."""


def _main(mount_point: str) -> None:
    pyfuse3.init(_Empty(), mount_point, {"fsname=emptyfs"})
    sys.stdout.write("mounted\n")
    sys.stdout.flush()
    try:
        trio.run(pyfuse3.main, _IDLE_TASKS)
    finally:
        pyfuse3.close(unmount=False)


if __name__ == "__main__":
    _main(sys.argv[1])
