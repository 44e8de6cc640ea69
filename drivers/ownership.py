"""Giving the files of a tree the owners that other ID maps want.

Used by: the drivers, for layers that are stored under the IDs of a container. Knows nothing of:
layers. Source of the rules: store-format 8.2 and 8.3, as the Go tools chown their copies.
"""

import errno
import os
import stat
from typing import Final

from drivers.errors import IDMapError
from drivers.idmap.maps import IDMap, MapPair, to_container, to_host
from drivers.linux import xattr
from drivers.linux.beneath import open_inside
from drivers.linux.treewalk import Found, walk

_DIRECTORY: Final = os.O_RDONLY | os.O_DIRECTORY
_CAPABILITY: Final = b"security.capability"
_SET_ID: Final = stat.S_ISUID | stat.S_ISGID
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


class _Change:
    def __init__(self, root: int, old: MapPair, new: MapPair) -> None:
        self._root, self._old, self._new = root, old, new
        self._first_names: dict[tuple[int, int], bytes] = {}

    def entry(self, found: Found) -> None:
        status = found.status
        if status.st_nlink > 1 and not stat.S_ISDIR(status.st_mode):
            first = self._first_names.setdefault((status.st_dev, status.st_ino), found.path)
            if first != found.path:
                self._link_again(first, found)
                return
        now = status.st_uid, status.st_gid
        wanted = translated(now, self._old, self._new, found.path)
        if wanted != now:
            _give(found, wanted)

    def _link_again(self, first: bytes, found: Found) -> None:
        """Make *found* a name of the file *first* again, if that was copied when it changed."""
        parent = open_inside(self._root, os.path.dirname(first), _DIRECTORY)
        try:
            name = os.path.basename(first)
            changed = os.stat(name, dir_fd=parent, follow_symlinks=False)
            now = os.stat(found.name, dir_fd=found.parent, follow_symlinks=False)
            if not os.path.samestat(changed, now):
                os.unlink(found.name, dir_fd=found.parent)
                os.link(
                    name,
                    found.name,
                    src_dir_fd=parent,
                    dst_dir_fd=found.parent,
                    follow_symlinks=False,
                )
        finally:
            os.close(parent)


def _give(found: Found, owner: tuple[int, int]) -> None:
    """Change the owner; the kernel takes set-ID bits and capabilities away, so they come back."""
    status, parent, name = found.status, found.parent, found.name
    capability = b"" if stat.S_ISLNK(status.st_mode) else _capability(parent, name)
    os.chown(name, *owner, dir_fd=parent, follow_symlinks=False)
    if not stat.S_ISLNK(status.st_mode) and status.st_mode & _SET_ID:
        os.chmod(name, stat.S_IMODE(status.st_mode), dir_fd=parent)
    if capability:
        xattr.put_at(parent, name, _CAPABILITY, capability)


def _capability(parent: int, name: bytes) -> bytes:
    try:
        return xattr.get_at(parent, name, _CAPABILITY)
    except OSError as refused:
        if refused.errno in (errno.ENODATA, errno.EOPNOTSUPP):
            return b""
        raise
