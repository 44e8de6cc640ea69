"""Giving the files of a tree the owners that other ID maps want.

Used by: the drivers, for layers that are stored under the IDs of a container. Knows nothing of:
layers. Source of the rules: store-format 8.2 and 8.3, as the Go tools chown their copies.
"""

import errno
import os
import stat
from typing import Final, NamedTuple

from drivers.errors import IDMapError
from drivers.idmap.maps import IDMap, MapPair, to_container, to_host
from drivers.linux import xattr
from drivers.linux.beneath import open_inside
from drivers.linux.treewalk import Found, walk

_DIRECTORY: Final = os.O_RDONLY | os.O_DIRECTORY
_CAPABILITY: Final = b"security.capability"
_SET_ID: Final = stat.S_ISUID | stat.S_ISGID
_NODES: Final = (stat.S_IFIFO, stat.S_IFCHR, stat.S_IFBLK, stat.S_IFSOCK)
_OVERFLOW_ID: Final = 65534


def change_owners(root: int, old: MapPair, new: MapPair) -> None:
    """Translate all owners below the directory *root* (not its own) from *old* maps to *new* ones.

    A file with several names stays one file, also where a change of owner makes a copy of it.
    Raises IDMapError at an owner that *old* does not have; some are changed by then.
    """
    change = _Change(root, old, new)
    for found in walk(root):
        change.entry(found)


def translated(owner: tuple[int, int], old: MapPair, new: MapPair, path: bytes) -> tuple[int, int]:
    """Return what (user, group) on disk becomes; what *new* does not have belongs to nobody."""
    inside = to_container(owner[0], old[0]), to_container(owner[1], old[1])
    if owner == (0, 0) and None in inside:
        inside = owner  # of a layer below that should have been mapped, and was not
    users, groups = (
        _outside(identifier, found, ranges)
        for identifier, found, ranges in zip(owner, inside, new, strict=True)
    )
    if users is None or groups is None:
        raise IDMapError(
            f"{os.fsdecode(path)!r}: its owner {owner[0]}:{owner[1]} is in no range of its layer",
            remedy="give the file an owner of the container, or pull the image again",
        )
    return users, groups


def _outside(before: int, inside: int | None, ranges: tuple[IDMap, ...]) -> int | None:
    if inside is None:
        return _OVERFLOW_ID if before == _OVERFLOW_ID else None
    if inside == to_host(0, ranges):  # as it is already, say the Go tools
        return inside
    found = to_host(inside, ranges)
    return _OVERFLOW_ID if found is None else found


class _First(NamedTuple):
    """The first name of a file that has several, and the owner that it got."""

    path: bytes
    owner: tuple[int, int]


class _Change:
    def __init__(self, root: int, old: MapPair, new: MapPair) -> None:
        self._root, self._old, self._new = root, old, new
        self._first: dict[tuple[int, int], _First] = {}

    def entry(self, found: Found) -> None:
        status = found.status
        several = status.st_nlink > 1 and not stat.S_ISDIR(status.st_mode)
        first = self._first.get((status.st_dev, status.st_ino)) if several else None
        if first is not None:
            self._link_again(first, found)
            return
        now = status.st_uid, status.st_gid
        wanted = translated(now, self._old, self._new, found.path)
        if wanted != now:
            _give(found, wanted)
        if several:  # a copy can have another number
            changed = os.stat(found.name, dir_fd=found.parent, follow_symlinks=False)
            for one in (status, changed):
                self._first[one.st_dev, one.st_ino] = _First(found.path, wanted)

    def _link_again(self, first: _First, found: Found) -> None:
        """Make *found* a name of the first file, which can be a copy, or (FUSE) look like one."""
        before = os.fstat(found.parent)
        parent = open_inside(self._root, os.path.dirname(first.path), _DIRECTORY)
        try:
            os.unlink(found.name, dir_fd=found.parent)
            os.link(
                os.path.basename(first.path),
                found.name,
                src_dir_fd=parent,
                dst_dir_fd=found.parent,
                follow_symlinks=False,
            )
        finally:
            os.close(parent)
        now = os.stat(found.name, dir_fd=found.parent, follow_symlinks=False)
        if (now.st_uid, now.st_gid) != first.owner:
            _give(found, first.owner)
        os.utime(found.parent, ns=(before.st_atime_ns, before.st_mtime_ns))


def _give(found: Found, owner: tuple[int, int]) -> None:
    """Change the owner; the kernel takes set-ID bits and capabilities away, so they come back."""
    status, parent, name = found.status, found.parent, found.name
    capability = b"" if stat.S_ISLNK(status.st_mode) else _capability(parent, name)
    try:
        os.chown(name, *owner, dir_fd=parent, follow_symlinks=False)
    except OSError as refused:
        if refused.errno != errno.EIO or stat.S_IFMT(status.st_mode) not in _NODES:
            raise
        _make_again(found, owner)
    if not stat.S_ISLNK(status.st_mode) and status.st_mode & _SET_ID:
        os.chmod(name, stat.S_IMODE(status.st_mode), dir_fd=parent)
    if capability:
        xattr.put_at(parent, name, _CAPABILITY, capability)
    if os.stat(name, dir_fd=parent, follow_symlinks=False).st_mtime_ns != status.st_mtime_ns:
        _set_times(parent, name, status)  # a program copied it up


def _make_again(found: Found, owner: tuple[int, int]) -> None:
    """Put a new node in the place of one that fuse-overlayfs cannot copy up (up to 1.10, EIO)."""
    status, parent, name = found.status, found.parent, found.name
    before = os.fstat(parent)
    os.unlink(name, dir_fd=parent)
    os.mknod(name, status.st_mode, status.st_rdev, dir_fd=parent)
    os.chown(name, *owner, dir_fd=parent, follow_symlinks=False)
    os.chmod(name, stat.S_IMODE(status.st_mode), dir_fd=parent)
    os.utime(parent, ns=(before.st_atime_ns, before.st_mtime_ns))


def _set_times(parent: int, name: bytes, status: os.stat_result) -> None:
    times = status.st_atime_ns, status.st_mtime_ns
    os.utime(name, ns=times, dir_fd=parent, follow_symlinks=False)


def _capability(parent: int, name: bytes) -> bytes:
    try:
        return xattr.get_at(parent, name, _CAPABILITY)
    except OSError as refused:
        if refused.errno in (errno.ENODATA, errno.EOPNOTSUPP):
            return b""
        raise
