"""Owner, mode, times and attributes of what was unpacked, in the order that keeps them all.

Used by: drivers.archive.{unpack,unpackmarkers,compare}.
Knows nothing of: paths, whiteouts, how a file is made.

The owner goes first, because a change of owner takes set-id bits and capabilities away; then
mode, times and extended attributes. What the Go tools do with times is done here as well: an
access never precedes the last change, and what a 64-bit count of nanoseconds cannot hold, or was
before 1970, is 1970, except for symbolic links.
"""

import errno
import os
import stat
from collections.abc import Iterable
from typing import Final, NamedTuple

from drivers.archive.entry import Entry
from drivers.errors import ArchiveError, UnpackFailedError
from drivers.idmap.maps import IDMap, to_host
from drivers.linux import xattr

_LAST_ID: Final = 0x7FFFFFFF
_LAST_TIME: Final = 0x7FFFFFFFFFFFFFFF
_NOT_STORED: Final = (b"trusted.overlay.", b"user.overlay.")
"""Overlay's own: in an archive they would make whiteouts, redirections and holes of files."""
_LABEL: Final = b"security.selinux"

Owner = tuple[int, int]
Times = tuple[int, int]


class UnpackOptions(NamedTuple):
    """How owners and attributes of the entries reach the disk.

    The maps lead from the archive's IDs to those on disk; empty is the identity. In a user
    namespace (``rootless``) device nodes are left out and attributes that are refused are lost.
    ``xattr_prefix`` is that of overlay's own attributes, for opaque directories.
    """

    uid_map: tuple[IDMap, ...] = ()
    gid_map: tuple[IDMap, ...] = ()
    rootless: bool = False
    ignore_chown_errors: bool = False
    xattr_prefix: bytes = b"trusted.overlay."


class Attributes:
    """Sets what entries say, as *options* want it.

    Every method may raise ArchiveError, UnpackFailedError and OSError.
    """

    def __init__(self, options: UnpackOptions) -> None:
        self._options = options
        self._mapped = bool(options.uid_map or options.gid_map)

    def owner(self, entry: Entry) -> Owner:
        """Return the IDs on disk."""
        if entry.uid > _LAST_ID or entry.gid > _LAST_ID or entry.uid < 0 or entry.gid < 0:
            raise ArchiveError(f"owner {entry.uid}:{entry.gid} is no user", entry=entry.name)
        if not self._mapped:
            return entry.uid, entry.gid
        uid = to_host(entry.uid, self._options.uid_map)
        gid = to_host(entry.gid, self._options.gid_map)
        if uid is None or gid is None:
            raise ArchiveError(
                f"Container ID {entry.uid}:{entry.gid} cannot be mapped to a host ID",
                entry=entry.name,
                remedy="give the layer more IDs with --uidmap and --gidmap",
            )
        return uid, gid

    def root_owner(self) -> Owner:
        """Return who gets directories that no entry describes; -1 changes nothing."""
        return _root_of(self._options.uid_map), _root_of(self._options.gid_map)

    def set_open(self, fd: int, entry: Entry, times: Times | None) -> None:
        """Set everything on the file or directory open as *fd*; no times if None."""
        uid, gid = self.owner(entry)
        try:
            os.fchown(fd, uid, gid)
        except OSError as error:
            self._not_owned(error, entry, (uid, gid))
        os.fchmod(fd, stat.S_IMODE(entry.mode))
        if times is not None:
            os.utime(fd, ns=times)
        if entry.xattrs:
            self._set_xattrs(entry, fd)

    def set_named(self, directory: int, name: bytes, entry: Entry, *, link: bool) -> None:
        """Set everything on *name*, which is not followed; a symbolic *link* has no mode."""
        self.set_owner(directory, name, entry)
        if not link:
            mode = stat.S_IMODE(entry.mode)
            os.chmod(name, mode, dir_fd=directory, follow_symlinks=False)
        if not (link and entry.type != b"2"):
            times = _link_times(entry) if link else file_times(entry)
            os.utime(name, ns=times, dir_fd=directory, follow_symlinks=False)
        if entry.xattrs:
            self._set_xattrs(entry, directory, name)

    def set_owner(self, directory: int, name: bytes, entry: Entry) -> None:
        """Set the owner alone of *name*, which is not followed."""
        uid, gid = self.owner(entry)
        try:
            os.chown(name, uid, gid, dir_fd=directory, follow_symlinks=False)
        except OSError as error:
            self._not_owned(error, entry, (uid, gid))

    def _not_owned(self, error: OSError, entry: Entry, owner: Owner) -> None:
        if self._options.ignore_chown_errors:
            return
        if error.errno != errno.EINVAL:
            raise error
        raise UnpackFailedError(
            entry.name,
            errno.EINVAL,
            detail="potentially insufficient UIDs or GIDs available in user namespace "
            f"(requested {owner[0]}:{owner[1]})",
            remedy="add ranges for the user to /etc/subuid and /etc/subgid",
        ) from error

    def _set_xattrs(self, entry: Entry, fd: int, name: bytes = b"") -> None:
        for key, value in stored_attributes(entry):
            try:
                if name:
                    xattr.put_at(fd, name, key, value)
                else:
                    os.setxattr(fd, key, value)
            except OSError as error:
                lost = error.errno == errno.EPERM and self._options.rootless
                if not lost and error.errno != errno.ENOTSUP:
                    raise


def file_times(entry: Entry) -> Times:
    """Return access and modification time of anything but directories and symbolic links."""
    accessed = entry.mtime_ns if entry.atime_ns is None else max(entry.atime_ns, entry.mtime_ns)
    return _bounded(accessed), _bounded(entry.mtime_ns)


def directory_times(entry: Entry) -> Times:
    """Return access and modification time of a directory, to be set when all is in it."""
    return _bounded(entry.atime_ns or 0), _bounded(entry.mtime_ns)


def _link_times(entry: Entry) -> Times:
    if not -_LAST_TIME <= entry.mtime_ns <= _LAST_TIME:
        return 0, 0
    accessed = entry.mtime_ns if entry.atime_ns is None else max(entry.atime_ns, entry.mtime_ns)
    return min(accessed, _LAST_TIME), entry.mtime_ns


def _bounded(time_ns: int) -> int:
    return time_ns if 0 <= time_ns <= _LAST_TIME else 0


def _root_of(ranges: tuple[IDMap, ...]) -> int:
    if len(ranges) == 1 and ranges[0].size == 1:
        return ranges[0].host_id
    found = to_host(0, ranges)
    return -1 if found is None else found


def stored_attributes(entry: Entry) -> Iterable[tuple[bytes, bytes]]:
    """Yield the extended attributes of *entry* that reach the disk. Raises ArchiveError."""
    for key, value in entry.xattrs.items():
        if b"\0" in key:
            raise ArchiveError("a NUL in the name of an attribute", entry=entry.name)
        if key != _LABEL and not key.startswith(_NOT_STORED):
            yield key, value
