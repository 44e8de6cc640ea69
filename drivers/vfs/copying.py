"""A full copy of a tree: content shared where possible, everything else the same.

Used by: drivers.vfs.driver. Knows nothing of: layers.

Kept: kind, content, owner, mode, times, hard links within the tree, device numbers, extended
attributes. Links are copied, never followed; mounts below are not entered.
"""

import os
import stat
from contextlib import AbstractContextManager
from typing import Final

from drivers.linux import reflink, xattr
from drivers.linux.beneath import open_inside
from drivers.linux.descriptors import all_open

_DIRECTORY: Final = os.O_RDONLY | os.O_DIRECTORY
_DEVICES: Final = (stat.S_IFCHR, stat.S_IFBLK)
_KEPT: Final = (b"security.capability", b"trusted.overlay.opaque")


def copy_tree(source: str, target: str, *, devices: bool = True) -> None:
    """Fill the existing empty directory *target* with what is in *source*.

    Without *devices* those are left out: nobody makes one in a user namespace.
    """
    with all_open(os.open(path, _DIRECTORY | os.O_CLOEXEC) for path in (source, target)) as roots:
        _TreeCopy(*roots, devices=devices).run()


class _TreeCopy:
    def __init__(self, source: int, target: int, *, devices: bool) -> None:
        self._source, self._target, self._devices = source, target, devices
        self._linked: dict[tuple[int, int], bytes] = {}

    def run(self) -> None:
        done: list[bytes] = []
        waiting = [b""]
        while waiting:
            path = waiting.pop()
            waiting += self._directory(path)
            done.append(path)
        for path in reversed(done):  # a directory's time is set when nothing in it changes more
            self._finish(path)

    def _directory(self, path: bytes) -> list[bytes]:
        below = []
        with self._both(path) as (source, target):
            for name in map(os.fsencode, os.listdir(source)):
                inner = path + b"/" + name if path else name
                status = os.stat(name, dir_fd=source, follow_symlinks=False)
                if stat.S_ISDIR(status.st_mode):
                    os.mkdir(name, 0o700, dir_fd=target)
                    below.append(inner)
                elif not self._devices and stat.S_IFMT(status.st_mode) in _DEVICES:
                    continue
                elif not self._link(inner, status, name, target):
                    _copy_file(source, target, name, status)
        return below

    def _both(self, path: bytes) -> AbstractContextManager[list[int]]:
        """The directory *path* in the source and in the copy."""
        return all_open(
            open_inside(root, path, _DIRECTORY) for root in (self._source, self._target)
        )

    def _link(self, path: bytes, status: os.stat_result, name: bytes, target: int) -> bool:
        """Make a second name of a file that is copied already."""
        if status.st_nlink == 1:
            return False
        first = self._linked.setdefault((status.st_dev, status.st_ino), path)
        if first == path:
            return False
        parent = open_inside(self._target, first.rpartition(b"/")[0], _DIRECTORY)
        try:
            last = first.rpartition(b"/")[2]
            os.link(last, name, src_dir_fd=parent, dst_dir_fd=target, follow_symlinks=False)
        finally:
            os.close(parent)
        return True

    def _finish(self, path: bytes) -> None:
        with self._both(path) as (source, target):
            status = os.fstat(source)
            os.fchown(target, status.st_uid, status.st_gid)
            os.fchmod(target, stat.S_IMODE(status.st_mode))
            for name in filter(_is_kept, xattr.names(source)):
                xattr.put(target, name, xattr.get(source, name))
            os.utime(target, ns=(status.st_atime_ns, status.st_mtime_ns))


def _copy_file(source: int, target: int, name: bytes, status: os.stat_result) -> None:
    kind = stat.S_IFMT(status.st_mode)
    if kind == stat.S_IFREG:
        _copy_regular(source, target, name)
    elif kind == stat.S_IFLNK:
        os.symlink(os.readlink(name, dir_fd=source), name, dir_fd=target)
    else:
        os.mknod(name, status.st_mode, status.st_rdev, dir_fd=target)
    os.chown(name, status.st_uid, status.st_gid, dir_fd=target, follow_symlinks=False)
    if kind != stat.S_IFLNK:
        os.chmod(name, stat.S_IMODE(status.st_mode), dir_fd=target)
    for attribute in filter(_is_kept, xattr.names_at(source, name)):
        xattr.put_at(target, name, attribute, xattr.get_at(source, name, attribute))
    times = (status.st_atime_ns, status.st_mtime_ns)
    os.utime(name, ns=times, dir_fd=target, follow_symlinks=False)


def _copy_regular(source: int, target: int, name: bytes) -> None:
    flags = os.O_NOFOLLOW | os.O_CLOEXEC
    reading = os.open(name, os.O_RDONLY | flags, dir_fd=source)
    try:
        writing = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | flags, 0o600, dir_fd=target)
        try:
            reflink.copy_content(reading, writing)
        finally:
            os.close(writing)
    finally:
        os.close(reading)


def _is_kept(name: bytes) -> bool:
    return name in _KEPT or name.startswith(b"user.")
