"""Erasing a tree that strangers filled, without ever leaving it.

Used by: drivers.trash, drivers.archive. Knows nothing of: layers, locks.

Links are removed, never followed. A mount below is no part of the tree: it is taken off first,
and a directory that still has one is an error, not a way on. Nothing is created, so a full file
system is no obstacle. The rest goes on after a failure; the first one is raised at the end.
Subvolumes of btrfs are part of the tree, whoever made them.
"""

import errno
import os
from typing import Final

from drivers.linux import mount, mountinfo, subvolume
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
        directory, name = os.path.split(path)
        parent = os.open(directory or ".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            _erase_directory(parent, os.fsencode(name))
        finally:
            os.close(parent)


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
        _erase_directory(directory, name)


def _erase_directory(parent: int, name: bytes) -> None:
    try:
        root = open_inside(parent, name, _DIRECTORY)
    except FileNotFoundError:
        return
    try:
        if _is_destroyed(parent, name, root):
            return
        _empty(root, top=root)
    finally:
        os.close(root)
    os.rmdir(name, dir_fd=parent)


def _is_destroyed(parent: int, name: bytes, directory: int) -> bool:
    """Whether the directory was a subvolume that the kernel has removed, as a whole."""
    return subvolume.may_be_one(os.fstat(directory)) and subvolume.destroy(parent, name)


def _empty(root: int, top: int) -> None:
    eraser = _Eraser(root, top)
    eraser.empty(root, depth=0)
    if eraser.failure is not None:
        raise eraser.failure


class _Eraser:
    """Empties *root*; what lies too deep for open descriptors is lifted there first.

    No directory can leave its subvolume, so a subvolume below has an eraser of its own; but those
    in that one can, and are lifted to the *top* of all, however deep one is nested in another.
    """

    def __init__(self, root: int, top: int) -> None:
        self._root, self._top = root, top
        self.failure: OSError | None = None

    def empty(self, directory: int, depth: int) -> None:
        while True:  # another round finds what was lifted, or written meanwhile
            os.lseek(directory, 0, os.SEEK_SET)  # btrfs shows no later names without it
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
                _lift(parent, name, self._root)
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
                if self._is_away(parent, name, fd):
                    return
                if subvolume.may_be_one(os.fstat(fd)):
                    _empty(fd, self._top)
                else:
                    self.empty(fd, depth + 1)
            finally:
                os.close(fd)
            os.rmdir(name, dir_fd=parent)

    def _is_away(self, parent: int, name: str, directory: int) -> bool:
        """Whether a subvolume is gone from here: destroyed or lifted."""
        if _is_destroyed(parent, os.fsencode(name), directory):
            return True
        if self._root == self._top or not subvolume.may_be_one(os.fstat(directory)):
            return False
        _lift(parent, name, self._top)
        return True


def _lift(parent: int, name: str, target: int) -> None:
    os.rename(name, f"lifted-{os.urandom(8).hex()}", src_dir_fd=parent, dst_dir_fd=target)
