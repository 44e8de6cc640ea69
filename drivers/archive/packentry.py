"""What the header of a file on disk says: owner, kind, attributes, and which name it had before.

Used by: drivers.archive.pack, backend.api.copying. Knows nothing of: tar's bytes, walking, content.

Source: store-format 9.1, as the Go tools of Debian 12 (containers-storage 1.43) do it: modes with
the bits of the kind, and owners' names as this host knows them.
"""

import errno
import grp
import os
import pwd
import stat
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Final, NamedTuple

from drivers.archive import entry, whiteout
from drivers.archive.entry import NO_XATTRS, Entry
from drivers.idmap.maps import NO_MAPS, MapPair, to_container
from drivers.linux import syscalls, xattr
from drivers.linux.treewalk import Found

NOBODY: Final = 65534
"""What a container sees as owner where its maps have no ID for it."""

_SECURITY: Final = (b"security.capability", b"security.ima")
_NOT_READABLE: Final = (errno.ENODATA, errno.ENOENT, errno.E2BIG)
_TYPES: Final = {
    stat.S_IFREG: entry.REGULAR,
    stat.S_IFDIR: entry.DIRECTORY,
    stat.S_IFLNK: entry.SYMLINK,
    stat.S_IFCHR: entry.CHARACTER,
    stat.S_IFBLK: entry.BLOCK,
    stat.S_IFIFO: entry.FIFO,
}


class Owner(NamedTuple):
    """An owner as a header has it."""

    uid: int
    gid: int
    user: bytes
    group: bytes


class Owners:
    """Owners on disk as owners in an archive, each looked up once."""

    def __init__(self, maps: MapPair) -> None:
        self._maps = maps
        self._mapped = maps != NO_MAPS
        self._known: dict[tuple[int, int, int], Owner] = {}

    def of(self, found: Found, unknown: int = NOBODY) -> Owner:
        """Return the owner of a file, *unknown* where the maps have no ID for it.

        Owners of files that mark a removal by their names are as on disk.
        """
        uid, gid = found.status.st_uid, found.status.st_gid
        if self._mapped and whiteout.is_marker(found.name):
            return Owner(uid, gid, *_names(uid, gid))
        known = self._known.get((uid, gid, unknown))
        if known is None:
            known = self._known[uid, gid, unknown] = self._look_up(uid, gid, unknown)
        return known

    def _look_up(self, uid: int, gid: int, unknown: int) -> Owner:
        users, groups = self._maps
        inside, group = to_container(uid, users), to_container(gid, groups)
        return Owner(
            unknown if inside is None else inside,
            unknown if group is None else group,
            *_names(uid, gid),
        )


class Links:
    """The first name of each file that has several."""

    def __init__(self) -> None:
        self._first: dict[tuple[int, int], bytes] = {}

    def earlier(self, found: Found) -> bytes | None:
        """Return the name under which the file is in the archive already."""
        if found.status.st_nlink < 2:
            return None
        return self._first.get((found.status.st_dev, found.status.st_ino))

    def remember(self, found: Found) -> None:
        """The file is in the archive now, under its first name if it was not before."""
        if found.status.st_nlink > 1:
            self._first.setdefault((found.status.st_dev, found.status.st_ino), found.path)


def describe(
    found: Found, owner: Owner, attributes: Mapping[bytes, bytes], link: bytes = b""
) -> Entry:
    """Return the header of a file that is there for the first time; *link* is its target."""
    status = found.status
    kind = stat.S_IFMT(status.st_mode)
    device = (0, 0)
    if kind in (stat.S_IFCHR, stat.S_IFBLK):
        device = _numbers(status.st_rdev)
    return Entry(
        found.path + b"/" if kind == stat.S_IFDIR else found.path,
        _TYPES[kind],
        link,
        status.st_size if kind == stat.S_IFREG else 0,
        status.st_mode,
        owner.uid,
        owner.gid,
        status.st_mtime_ns,
        None,
        device,
        attributes,
    )


def as_removal(header: Entry) -> Entry:
    """Return the entry that says in an archive what the whiteout *header* says on disk.

    As with the Go tools, a whiteout that is a link keeps the name of the first one as its target.
    """
    return header._replace(name=_marked(header.name), type=entry.REGULAR, mode=0, size=0)


def removal(path: bytes, directory: os.stat_result) -> Entry:
    """Return the entry that removes *path* from *directory*, to which that happened last."""
    return Entry(_marked(path), entry.REGULAR, mtime_ns=directory.st_mtime_ns)


def opaque(header: Entry) -> Entry:
    """Return the entry that removes what the layers below have in the directory *header*."""
    name, mode = header.name + whiteout.OPAQUE, header.mode & 0o777
    return Entry(name, entry.REGULAR, mode=mode, uid=header.uid, gid=header.gid)


def _marked(path: bytes) -> bytes:
    directory, slash, name = path.rpartition(b"/")
    return directory + slash + whiteout.marker_of(name)


class Attributes(NamedTuple):
    """The extended attributes of one file, and how to read one."""

    names: Sequence[bytes]
    read: Callable[[bytes], bytes]

    def travelling(self, private: bytes) -> Mapping[bytes, bytes]:
        """Return those that an archive holds; names that begin with *private* are overlay's own.

        One that is gone by now, or that the file system cannot give as a whole, is left out.
        """
        if not self.names:
            return NO_XATTRS
        values = {}
        for name in self.names:
            if name in _SECURITY or (name.startswith(b"user.") and not name.startswith(private)):
                try:
                    values[name] = self.read(name)
                except OSError as refused:
                    if refused.errno not in _NOT_READABLE:
                        raise
        return values or NO_XATTRS


def _absent(name: bytes) -> bytes:
    raise syscalls.error(errno.ENODATA, name)


_NONE: Final = Attributes((), _absent)


def attributes_of(fd: int) -> Attributes:
    """Return the attributes of a file that is open for reading."""
    try:
        names = os.listxattr(fd)
    except OSError as refused:
        if refused.errno != errno.EOPNOTSUPP:
            raise
        return _NONE
    if not names:
        return _NONE
    return Attributes([os.fsencode(name) for name in names], partial(os.getxattr, fd))


def attributes_at(found: Found) -> Attributes:
    """Return the attributes of any file."""
    try:
        names = xattr.names_at(found.parent, found.name)
    except OSError as refused:
        if refused.errno != errno.EOPNOTSUPP:
            raise
        return _NONE
    return Attributes(names, partial(xattr.get_at, found.parent, found.name)) if names else _NONE


def _names(uid: int, gid: int) -> tuple[bytes, bytes]:
    """Return what this host calls an owner; empty where it has no name."""
    try:
        user = os.fsencode(pwd.getpwuid(uid).pw_name)
    except KeyError:
        user = b""
    try:
        return user, os.fsencode(grp.getgrgid(gid).gr_name)
    except KeyError:
        return user, b""


def _numbers(device: int) -> tuple[int, int]:
    """Return (major, minor) as the Go tools take a device number apart: 12 and 20 bits."""
    return (device >> 8) & 0xFFF, (device & 0xFF) | ((device >> 12) & 0xFFF00)
