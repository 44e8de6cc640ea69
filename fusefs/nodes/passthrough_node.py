"""What every file of a view can do, whatever its kind: attributes, extended attributes, places.

Used by: fusefs.nodes.passthrough, fusefs.nodes.passthrough_files.
Knows nothing of: opening, reading, listing.

A node is one file on disk, known by (device, inode). Its places are the names under which it was
met; a place is a parent node and a name, so the rename of a directory moves all that is below.
A place that leads to another file now is no longer its own: ESTALE, and the kernel looks again.
"""

import errno
import os
import stat
from collections.abc import Sequence
from typing import TYPE_CHECKING

from drivers.linux import xattr
from fusefs.nodes.base import AttributeChange, Attributes, Caller, Ino, Node
from fusefs.nodes.passthrough_view import Descriptor, Identity, View

if TYPE_CHECKING:
    from fusefs.nodes.passthrough import BackedDirectory

_MOVED = (errno.ENOENT, errno.ENOTDIR, errno.ESTALE)


def attributes_of(status: os.stat_result, ino: Ino) -> Attributes:
    """Translate a backing file's attributes; only the number is ours."""
    return Attributes(
        ino=ino,
        mode=status.st_mode,
        nlink=status.st_nlink,
        uid=status.st_uid,
        gid=status.st_gid,
        size=status.st_size,
        blocks=status.st_blocks,
        block_size=status.st_blksize,
        rdev=status.st_rdev,
        atime_ns=status.st_atime_ns,
        mtime_ns=status.st_mtime_ns,
        ctime_ns=status.st_ctime_ns,
    )


def stale() -> OSError:
    """The file is not where it was."""
    return OSError(errno.ESTALE, os.strerror(errno.ESTALE))


class BackedNode(Node):
    """A file on disk."""

    in_memory = False

    def __init__(self, view: View, ino: Ino, identity: Identity, kind: int) -> None:
        super().__init__(ino)
        self.view = view
        self.identity = identity
        self.kind = kind
        self.entry_timeout = self.attr_timeout = view.timeout
        self.places: tuple[tuple[BackedDirectory, bytes], ...] = ()
        self.opened: tuple[Descriptor, ...] = ()
        self.known: Attributes | None = None
        """What ``attributes`` returned, where nobody can change the file."""

    def place(self, parent: "BackedDirectory", name: bytes) -> None:
        """Note that it was met as *name* in *parent*: the place to try first."""
        met = (parent, name)
        if not self.places:
            self.places = (met,)
        elif self.places[0] != met:
            self.places = (met, *(place for place in self.places if place != met))

    def displace(self, parent: "BackedDirectory", name: bytes) -> None:
        """Note that it is not *name* in *parent* any more."""
        self.places = tuple(place for place in self.places if place != (parent, name))

    def is_own(self, status: os.stat_result) -> bool:
        """Whether *status* is of this very file."""
        return self.view.identity(status) == self.identity

    def status(self) -> os.stat_result:
        """stat(2) of the file, through an open descriptor or the first place that still holds."""
        held = self.any_opened()
        if held is not None:
            return os.fstat(held.fd)
        for parent, name in self.places:
            try:
                with parent.descriptor() as above:
                    status = os.stat(name, dir_fd=above, follow_symlinks=False)
            except OSError as problem:
                if problem.errno in _MOVED:
                    continue
                raise
            if self.is_own(status):
                return status
        raise stale()

    def any_opened(self) -> Descriptor | None:
        """Some descriptor on which the file is open now: right even without any name."""
        opened = self.opened
        return opened[0] if opened else None

    def reach(self) -> Descriptor:
        """A descriptor of the file itself, for its attributes only (O_PATH, of a link too)."""
        return self.any_opened() or self.open_at(os.O_PATH)

    def open_at(self, flags: int) -> Descriptor:
        """Open the file at one of its places; ESTALE if it is at none."""
        for parent, name in self.places:
            try:
                with parent.descriptor() as above:
                    fd = os.open(name, flags | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=above)
            except OSError as problem:
                if problem.errno in _MOVED:
                    continue
                raise
            descriptor = Descriptor(fd)
            if self.is_own(os.fstat(fd)):
                return descriptor
        raise stale()

    def attributes_at_hand(self) -> bool:
        """Whether a descriptor is open: its attributes cost no look at the disk."""
        return self.known is not None or self.attributes_in_memory or bool(self.opened)

    def attributes(self) -> Attributes:
        """Attributes of the backing file."""
        return self.known or self.learned(self.status())

    def doubt(self) -> None:
        """Forget what was learned: the view may show something else when it is opened again."""
        self.known = None

    def learned(self, status: os.stat_result) -> Attributes:
        """What the tree shows for *status*, which is kept where it cannot change."""
        shown = self.shown(status)
        if self.view.immutable:
            self.known = shown
        return shown

    def shown(self, status: os.stat_result) -> Attributes:
        """What the tree shows for the *status* of the backing file."""
        return self.view.shown(attributes_of(status, self.ino))

    def set_attributes(self, change: AttributeChange, caller: Caller) -> Attributes:
        """Change the backing file, by descriptor; who may was the kernel's decision."""
        del caller
        self.view.check_writable()
        held = self.reach()
        if change.uid is not None or change.gid is not None:
            self._chown(held, change.uid, change.gid)
        if change.mode is not None:
            os.chmod(held.path, stat.S_IMODE(change.mode))
        if change.size is not None:
            os.truncate(held.path, change.size)
        if change.atime_ns is not None or change.mtime_ns is not None:
            now = os.fstat(held.fd)
            atime = now.st_atime_ns if change.atime_ns is None else change.atime_ns
            mtime = now.st_mtime_ns if change.mtime_ns is None else change.mtime_ns
            os.utime(held.path, ns=(atime, mtime))
        return self.shown(os.fstat(held.fd))

    def _chown(self, held: Descriptor, uid: int | None, gid: int | None) -> None:
        owners = self.view.owners
        if owners is None:
            os.chown(held.path, -1 if uid is None else uid, -1 if gid is None else gid)
        else:
            os.chown(held.path, *owners.stored(uid, gid))

    def xattr_names(self) -> Sequence[bytes]:
        """The file's own attributes."""
        with self.reach() as fd:
            return xattr.names(fd)

    def xattr(self, name: bytes) -> bytes:
        """One of the file's own attributes."""
        with self.reach() as fd:
            return xattr.get(fd, name)

    def set_xattr(self, name: bytes, value: bytes, flags: int) -> None:
        """Set it on the file."""
        self.view.check_writable()
        with self.reach() as fd:
            xattr.put(fd, name, value, flags)

    def remove_xattr(self, name: bytes) -> None:
        """Remove it from the file."""
        self.view.check_writable()
        with self.reach() as fd:
            xattr.remove(fd, name)
