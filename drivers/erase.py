"""Erasing a tree that strangers filled, without ever leaving it.

Used by: drivers.trash, drivers.archive. Knows nothing of: layers, locks.

Links are removed, never followed. A mount below is no part of the tree: it is taken off first,
and a directory that still has one is an error, not a way on. Nothing is created, so a full file
system is no obstacle. The rest goes on after a failure; the first one is raised at the end.
"""

import errno
import os
from typing import Final

from drivers.linux import mount, mountinfo
from drivers.linux.beneath import open_inside

_DEEPEST: Final = 64
_DIRECTORY: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW


def erase_tree(path: str) -> None:
    """Remove *path*, whatever it is; nothing happens if it is not there."""
    try:
        os.unlink(path)
    except FileNotFoundError:
        return
    except (IsADirectoryError, PermissionError):
        _detach_mounts(path)
        _erase_directory(path)


def _detach_mounts(path: str) -> None:
    for entry in mountinfo.below(path):
        try:
            mount.umount(entry.target, mount.MNT_DETACH | mount.UMOUNT_NOFOLLOW)
        except OSError as refused:
            if refused.errno not in (errno.EINVAL, errno.ENOENT):
                raise


def erase_entry(directory: int, name: bytes) -> None:
    """Remove *name* in *directory*, whatever it is; nothing happens if it is not there.

    A mount in it is no reason to take it off here: it is an error (EXDEV, or EBUSY).
    """
    try:
        os.unlink(name, dir_fd=directory)
    except FileNotFoundError:
        return
    except (IsADirectoryError, PermissionError):
        _empty(open_inside(directory, name, _DIRECTORY))
        os.rmdir(name, dir_fd=directory)


def _erase_directory(path: str) -> None:
    try:
        root = os.open(path, _DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    _empty(root)
    os.rmdir(path)


def _empty(root: int) -> None:
    """Remove everything in the directory open as *root*, which is closed."""
    try:
        eraser = _Eraser(root)
        eraser.empty(root, depth=0)
    finally:
        os.close(root)
    if eraser.failure is not None:
        raise eraser.failure


class _Eraser:
    """Empties one tree; what lies too deep for open descriptors is lifted to the top first."""

    def __init__(self, root: int) -> None:
        self._root = root
        self._lifted = 0
        self.failure: OSError | None = None

    def empty(self, directory: int, depth: int) -> None:
        while True:  # another round finds what was lifted, or written meanwhile
            with os.scandir(directory) as entries:
                found = [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries]
            if not found:
                return
            for name, is_directory in found:
                self._remove(directory, name, is_directory=is_directory, depth=depth)
            if self.failure is not None:
                return

    def _remove(self, parent: int, name: str, *, is_directory: bool, depth: int) -> None:
        try:
            if not is_directory:
                os.unlink(name, dir_fd=parent)
            elif depth >= _DEEPEST:
                self._lift(parent, name)
            else:
                self._remove_directory(parent, name, depth)
        except FileNotFoundError:
            pass
        except OSError as exc:
            self.failure = self.failure or exc

    def _remove_directory(self, parent: int, name: str, depth: int) -> None:
        try:
            os.rmdir(name, dir_fd=parent)
        except OSError as refused:
            if refused.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
            fd = open_inside(parent, os.fsencode(name), _DIRECTORY)
            try:
                self.empty(fd, depth + 1)
            finally:
                os.close(fd)
            os.rmdir(name, dir_fd=parent)

    def _lift(self, parent: int, name: str) -> None:
        self._lifted += 1
        target = f"lifted-{self._lifted}-{os.urandom(8).hex()}"
        os.rename(name, target, src_dir_fd=parent, dst_dir_fd=self._root)
