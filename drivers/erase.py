"""Erasing a tree that strangers filled, without ever leaving it.

Used by: the drivers, drivers.trash, drivers.archive, backend.api. Knows nothing of: layers, locks.

Links are removed, never followed. A mount below is no part of the tree: it is taken off first,
and a directory that still has one is an error, not a way on. Nothing is created, so a full file
system is no obstacle. The rest goes on after a failure; the first one is raised at the end.
Subvolumes of btrfs are part of the tree, whoever made them.
"""

import contextlib
import errno
import os
from typing import Final

from drivers.linux import mount, mountinfo, subvolume
from drivers.linux.beneath import open_inside

_DEEPEST: Final = 64
_FILLED: Final = (errno.ENOTEMPTY, errno.EEXIST)
_DIRECTORY: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW


def erase_tree(path: str) -> None:
    """Remove *path*, whatever it is; nothing happens if it is not there."""
    try:
        os.unlink(path)
    except FileNotFoundError:
        return
    except (IsADirectoryError, PermissionError) as refused:
        _detach_mounts(path)
        directory, name = os.path.split(path)
        parent = os.open(directory or ".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            _erase_directory(parent, os.fsencode(name), refused)
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
    except (IsADirectoryError, PermissionError) as refused:
        _erase_directory(directory, name, refused)


def _erase_directory(parent: int, name: bytes, refused: OSError) -> None:
    """Erase what unlink(2) *refused* to remove, if it is a directory."""
    try:
        root = open_inside(parent, name, _DIRECTORY)
    except FileNotFoundError:
        return
    except NotADirectoryError:
        raise refused from None
    try:
        if not _is_destroyed(parent, name, root):
            _erase_opened(parent, name, root, top=root)
    finally:
        os.close(root)


def _is_destroyed(parent: int, name: bytes, directory: int) -> bool:
    """Whether the directory was a subvolume that the kernel has removed, as a whole."""
    return subvolume.may_be_one(os.fstat(directory)) and subvolume.destroy(parent, name)


def _erase_opened(parent: int, name: bytes, directory: int, top: int) -> None:
    eraser = _Eraser(directory, top)
    try:
        eraser.erase(parent, name, directory, depth=0)
    except OSError as last:
        raise eraser.failure or last from None


class _Eraser:
    """Erases *root*; what lies too deep for open descriptors is lifted there first.

    No directory can leave its subvolume, so a subvolume below has an eraser of its own; but those
    in that one can, and are lifted to the *top* of all, however deep one is nested in another.
    """

    def __init__(self, root: int, top: int) -> None:
        self._root, self._top = root, top
        self.failure: OSError | None = None

    def erase(self, parent: int, name: bytes, directory: int, depth: int) -> None:
        """Remove *name* in *parent*, which is open as *directory*."""
        while True:  # another round finds what was lifted, or written meanwhile
            had_some = self._empty(directory, depth)
            try:
                os.rmdir(name, dir_fd=parent)
            except OSError as refused:
                if refused.errno not in _FILLED or self.failure is not None or not had_some:
                    raise
                os.lseek(directory, 0, os.SEEK_SET)  # btrfs shows no later names without it
            else:
                return

    def _empty(self, directory: int, depth: int) -> bool:
        """Remove what is listed in it. Returns whether anything was."""
        had_some = False
        below = []
        with os.scandir(directory) as entries:
            for entry in entries:
                had_some = True
                if entry.is_dir(follow_symlinks=False):
                    below.append(os.fsencode(entry.name))
                else:
                    self._remove(directory, entry.name)
        for name in below:
            self._remove_directory(directory, name, depth)
        return had_some

    def _remove(self, parent: int, name: str) -> None:
        try:
            os.unlink(name, dir_fd=parent)
        except FileNotFoundError:
            pass
        except OSError as exc:
            self.failure = self.failure or exc

    def _remove_directory(self, parent: int, name: bytes, depth: int) -> None:
        try:
            if depth >= _DEEPEST:
                _lift(parent, name, self._root)
            else:
                self._enter(parent, name, depth + 1)
        except FileNotFoundError:
            pass
        except OSError as exc:
            self.failure = self.failure or exc

    def _enter(self, parent: int, name: bytes, depth: int) -> None:
        try:
            fd = open_inside(parent, name, _DIRECTORY)
        except PermissionError:
            with contextlib.suppress(OSError):  # what cannot be listed can be empty
                return os.rmdir(name, dir_fd=parent)
            raise
        try:
            if not subvolume.may_be_one(os.fstat(fd)):
                self.erase(parent, name, fd, depth)
            elif not subvolume.destroy(parent, name):
                self._give_to_another(parent, name, fd)
        finally:
            os.close(fd)

    def _give_to_another(self, parent: int, name: bytes, inner: int) -> None:
        """Lift a subvolume to the top, or erase it here if this is there."""
        if self._root == self._top:
            _erase_opened(parent, name, inner, self._top)
        else:
            _lift(parent, name, self._top)


def _lift(parent: int, name: bytes, target: int) -> None:
    os.rename(name, f"lifted-{os.urandom(8).hex()}", src_dir_fd=parent, dst_dir_fd=target)
