"""Subvolumes of btrfs: making, copying and removing them, their limits.

Used by: drivers.btrfs, drivers.erase. Knows nothing of: layers.

Directories are given by descriptor, new names are single components. Functions raise OSError,
with ENOTTY where the file system is not btrfs. Numbers and structures: linux/btrfs.h.
"""

import contextlib
import errno
import fcntl
import os
import stat
import struct
from typing import Final

_SUBVOL_CREATE: Final = 0x5000940E
_SNAP_DESTROY: Final = 0x5000940F
_INO_LOOKUP: Final = 0xD0009412
_SNAP_CREATE_V2: Final = 0x50009417
_SUBVOL_SETFLAGS: Final = 0x4008941A
_FS_INFO: Final = 0x8400941F
_QUOTA_CTL: Final = 0xC0109428
_QGROUP_CREATE: Final = 0x4010942A
_QGROUP_LIMIT: Final = 0x8030942B
_GET_SUBVOL_ROOTREF: Final = 0xD000943D
_INO_LOOKUP_USER: Final = 0xD000943E

_FS_INFO_SIZE: Final = 1024
_ARGUMENTS: Final = struct.Struct("=q4088s")  # descriptor, name
# descriptor, transaction, flags, four unused, name
_ARGUMENTS_V2: Final = struct.Struct("=qQQ32x4040s")
_LOOKUP: Final = struct.Struct("=QQ4080x")  # tree, inode number, path
_LOOKUP_USER: Final = struct.Struct("=QQ256s3824s")  # directory, tree, name, path with a slash
_REFERENCES: Final = struct.Struct("=Q4080sB7x")  # first tree, (tree, directory) pairs, how many
_REFERENCE: Final = struct.Struct("=QQ")
_PAIR: Final = struct.Struct("=QQ")
_LIMIT: Final = struct.Struct("=QQQQQQ")  # group, which, referenced, exclusive, two reserved
_MAX_REFERENCED: Final = 1
_MAX_EXCLUSIVE: Final = 2
_NO_LIMIT: Final = (1 << 64) - 1
_QUOTA_ENABLE: Final = 1
_ROOT_INODE: Final = 256


def is_btrfs(directory: int) -> bool:
    """Whether *directory* is on btrfs."""
    try:
        fcntl.ioctl(directory, _FS_INFO, bytearray(_FS_INFO_SIZE))
    except OSError as refused:
        if refused.errno in (errno.ENOTTY, errno.EINVAL, errno.EOPNOTSUPP):
            return False
        raise
    return True


def may_be_one(status: os.stat_result) -> bool:
    """Whether *status* is that of a subvolume, if it is one of something on btrfs."""
    return status.st_ino == _ROOT_INODE and stat.S_ISDIR(status.st_mode)


def create(directory: int, name: bytes) -> None:
    """Make an empty subvolume; it has the mode of a new directory."""
    fcntl.ioctl(directory, _SUBVOL_CREATE, bytearray(_ARGUMENTS.pack(0, name)))


def snapshot(source: int, directory: int, name: bytes) -> None:
    """Make a writable copy of the subvolume *source*, and of those that are nested in it.

    The kernel puts empty directories in the place of nested ones. EINVAL if *source* is none.
    """
    _snapshot(source, directory, name)
    waiting = [name + b"/" + path for path in _nested(source)]
    prefix = len(name) + 1
    while waiting:
        path = waiting.pop()
        inner = os.open(path[prefix:], _DIRECTORY, dir_fd=source)
        try:
            below = _nested(inner)
            _replace_by_snapshot(inner, directory, path)
        finally:
            os.close(inner)
        waiting += [path + b"/" + one for one in below]


def destroy(directory: int, name: bytes) -> bool:
    """Remove a subvolume with all that is in it; False where the kernel does not let us.

    It does not if others are nested in it, if it is none, or if this is not root and the mount
    option user_subvol_rm_allowed is missing. It can be emptied then, and removed as a directory:
    being read-only, or as full as it may be, is no obstacle any more.
    """
    try:
        fcntl.ioctl(directory, _SNAP_DESTROY, bytearray(_ARGUMENTS.pack(0, name)))
    except OSError as refused:
        if refused.errno in (errno.ENOTEMPTY, errno.EPERM):
            make_free(directory, name)
        return False
    return True


def make_free(directory: int, name: bytes) -> None:
    """Take the mark that it is read-only off a subvolume that is to go, and its limits."""
    fd = os.open(name, _DIRECTORY, dir_fd=directory)
    try:
        fcntl.ioctl(fd, _SUBVOL_SETFLAGS, bytearray(8))
        with contextlib.suppress(OSError):  # there are no quotas, or they are not ours to change
            _limit(fd, _MAX_REFERENCED | _MAX_EXCLUSIVE, _NO_LIMIT)
    finally:
        os.close(fd)


def identity(subvolume: int) -> int:
    """Return the number of a subvolume in its file system."""
    request = bytearray(_LOOKUP.pack(0, _ROOT_INODE))
    fcntl.ioctl(subvolume, _INO_LOOKUP, request)
    found: int = _LOOKUP.unpack(request)[0]
    return found


def limit(subvolume: int, size: int) -> None:
    """Let a subvolume hold *size* bytes at most. Quotas of the file system are switched on."""
    fcntl.ioctl(subvolume, _QUOTA_CTL, bytearray(_PAIR.pack(_QUOTA_ENABLE, 0)))
    _limit(subvolume, _MAX_REFERENCED, size)


def forget_limit(directory: int, subvolume: int) -> bool:
    """Remove the quota group of the subvolume with that number; False if the kernel will.

    Newer ones (6.12) do it themselves, when the subvolume is gone, and not before.
    """
    try:
        fcntl.ioctl(directory, _QGROUP_CREATE, bytearray(_PAIR.pack(0, subvolume)))
    except OSError as refused:
        if refused.errno in (errno.EBUSY, errno.ENOENT, errno.ENOTCONN, errno.EINVAL):
            return False
        raise
    return True


_DIRECTORY: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def _limit(subvolume: int, which: int, size: int) -> None:
    request = bytearray(_LIMIT.pack(0, which, size, size, 0, 0))
    fcntl.ioctl(subvolume, _QGROUP_LIMIT, request)


def _snapshot(source: int, directory: int, name: bytes) -> None:
    fcntl.ioctl(directory, _SNAP_CREATE_V2, bytearray(_ARGUMENTS_V2.pack(source, 0, 0, name)))


def _replace_by_snapshot(source: int, directory: int, path: bytes) -> None:
    """Put a snapshot of *source* in the place of the empty directory *path*."""
    parent, _, name = path.rpartition(b"/")
    fd = os.open(parent, _DIRECTORY, dir_fd=directory)
    try:
        os.rmdir(name, dir_fd=fd)
        _snapshot(source, fd, name)
    finally:
        os.close(fd)


def _nested(subvolume: int) -> list[bytes]:
    """Return the paths of the subvolumes directly nested in *subvolume*, relative to it."""
    found = []
    first, more = 0, True
    while more:
        request = bytearray(_REFERENCES.pack(first, b"", 0))
        try:
            fcntl.ioctl(subvolume, _GET_SUBVOL_ROOTREF, request)
            more = False
        except OSError as refused:
            if refused.errno != errno.EOVERFLOW:  # there are more than fit
                raise
        first, pairs, count = _REFERENCES.unpack(request)
        for tree, directory in list(_REFERENCE.iter_unpack(pairs))[:count]:
            found.append(_path_of(subvolume, tree, directory))
    return found


def _path_of(subvolume: int, tree: int, directory: int) -> bytes:
    request = bytearray(_LOOKUP_USER.pack(directory, tree, b"", b""))
    fcntl.ioctl(subvolume, _INO_LOOKUP_USER, request)
    texts: tuple[bytes, bytes] = _LOOKUP_USER.unpack(request)[2:]
    name, path = (text.partition(b"\0")[0] for text in texts)
    return path + name
