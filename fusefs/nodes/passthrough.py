"""Directories of a view: every name in them as a node, and the verbs that change them.

Used by: fusefs.nodes.content, fusefs.nodes.computed, and container nodes (directory_node).
Knows nothing of: stores, layers, where a view comes from.

Names are resolved one by one below a directory's descriptor, and a directory's descriptor below
its view's root (openat2), never by absolute path: nothing that a layer contains leads out. What a
caller makes belongs to the caller, as if the caller had made it on the backing file system.
"""

import errno
import os
import stat
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final, Protocol, runtime_checkable

from drivers.linux import rename, xattr
from drivers.linux.beneath import open_beneath
from fusefs.nodes.base import (
    Caller,
    Directory,
    File,
    Ino,
    ListedEntry,
    Node,
    OpenDirectory,
    OpenFile,
    RenameMode,
    node_ino,
    refused,
)
from fusefs.nodes.passthrough_files import BackedFile, BackedLink, backing_flags
from fusefs.nodes.passthrough_node import BackedNode, stale
from fusefs.nodes.passthrough_view import Descriptor, View

_LONGEST_PATH: Final = 3800
_DIRECTORY: Final = os.O_PATH | os.O_DIRECTORY


@runtime_checkable
class Backed(Protocol):
    """A directory node that stands for a directory on disk."""

    def backing(self) -> "BackedDirectory":
        """The directory on disk."""
        ...


def directory_node(path: Callable[[], str], *role: str, writable: bool = True) -> "RootDirectory":
    """Show a directory as it is. *path* is asked when it is needed; *role* as for node_ino."""
    view = View(
        "\0".join(role), lambda: os.open(path(), _DIRECTORY | os.O_CLOEXEC), writable=writable
    )
    return RootDirectory(view, node_ino(*role))


class BackedDirectory(BackedNode, Directory):
    """A directory on disk."""

    def backing(self) -> "BackedDirectory":
        """Itself."""
        return self

    def status(self) -> os.stat_result:
        """stat(2), by the directory's own descriptor where it is open."""
        held = self.view.descriptors.get(self)
        return os.fstat(held.fd) if held else super().status()

    def attributes_at_hand(self) -> bool:
        """Whether its descriptor is open."""
        return self.attributes_in_memory or self.view.descriptors.get(self) is not None

    def reach(self) -> Descriptor:
        """The directory's own descriptor."""
        return self.descriptor()

    def descriptor(self) -> Descriptor:
        """A descriptor (O_PATH) of the directory, wherever it is now in the view."""
        held = self.view.descriptors.get(self)
        if held is None:
            held = self._resolve()
            self.view.descriptors.keep(self, held)
        return held

    def _resolve(self) -> Descriptor:
        """Open it below the nearest directory that is open, the root at the latest."""
        components: list[bytes] = []
        current: BackedDirectory = self
        base, length = None, 0
        while base is None and not isinstance(current, RootDirectory) and length < _LONGEST_PATH:
            if not current.places:
                raise stale()
            current, name = current.places[0]
            components.append(name)
            length += len(name) + 1
            base = self.view.descriptors.get(current)
        base = base or current.descriptor()
        try:
            fd = open_beneath(base.fd, b"/".join(reversed(components)), _DIRECTORY)
        except (FileNotFoundError, NotADirectoryError):
            raise stale() from None
        held = Descriptor(fd)
        if not self.is_own(os.fstat(fd)):
            raise stale()
        return held

    def child(self, name: bytes) -> Node:
        """The file called *name*, as it is now."""
        with self.descriptor() as here:
            status = os.stat(name, dir_fd=here, follow_symlinks=False)
        node = self.adopt(name, status)
        if self.view.immutable:
            node.learned(status)
        return node

    def adopt(self, name: bytes, status: os.stat_result) -> BackedNode:
        """The node of the file that was found here as *name*."""
        node = self.view.adopt(status, self.make)
        node.place(self, name)
        return node

    def make(self, view: View, ino: Ino, status: os.stat_result) -> BackedNode:
        """A new node for a file that was found in a directory like this."""
        kind = stat.S_IFMT(status.st_mode)
        node = {stat.S_IFDIR: BackedDirectory, stat.S_IFLNK: BackedLink}.get(kind, BackedFile)
        return node(view, ino, view.identity(status), kind)

    def names(self) -> Sequence[bytes]:
        """Names as the backing directory lists them."""
        held = self.descriptor()
        return os.listdir(os.fsencode(held.path))

    def open(self, caller: Caller) -> OpenDirectory:
        """Read all names now; attributes come when they are asked for."""
        del caller
        return BackedListing(self, self.names())

    def listed(self) -> Sequence[ListedEntry] | None:
        """What an earlier listing found, where nobody can change it."""
        if not self.view.immutable:
            return None
        self.view.last_used = time.monotonic()
        return self.view.listings.get(self)

    def statfs(self) -> os.statvfs_result:
        """That of the backing file system."""
        with self.descriptor() as here:
            return os.fstatvfs(here)

    def create(self, name: bytes, mode: int, flags: int, caller: Caller) -> tuple[File, OpenFile]:
        """Make a regular file of the caller's and open it; open what somebody else just made."""
        self.view.check_creation(caller)
        here = self.descriptor()
        wanted = backing_flags(flags) | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            opened = Descriptor(os.open(name, wanted, mode & ~caller.umask, dir_fd=here.fd))
        except FileExistsError:
            node = self.child(name)
            if flags & os.O_EXCL or not isinstance(node, BackedFile):
                raise
            return node, node.open(flags, caller)
        self._give(opened, stat.S_IFREG | mode, caller)
        made = self.adopt(name, os.fstat(opened.fd))
        if not isinstance(made, BackedFile):
            raise stale()
        return made, made.hold(opened)

    def make_directory(self, name: bytes, mode: int, caller: Caller) -> Node:
        """mkdir(2); a setgid directory hands its group and that bit on."""
        self.view.check_creation(caller)
        with self.descriptor() as here:
            os.mkdir(name, mode & ~caller.umask, dir_fd=here)
        return self._made(name, stat.S_IFDIR | mode, caller)

    def make_link(self, name: bytes, target: bytes, caller: Caller) -> Node:
        """symlink(2)."""
        self.view.check_creation(caller)
        with self.descriptor() as here:
            os.symlink(target, name, dir_fd=here)
        return self._made(name, stat.S_IFLNK, caller)

    def make_special(self, name: bytes, mode: int, rdev: int, caller: Caller) -> Node:
        """mknod(2)."""
        self.view.check_creation(caller)
        with self.descriptor() as here:
            os.mknod(name, mode & ~caller.umask, rdev, dir_fd=here)
        return self._made(name, mode, caller)

    def make_hard_link(self, name: bytes, node: Node, caller: Caller) -> Node:
        """link(2) within the view."""
        del caller
        self.view.check_writable()
        if not isinstance(node, BackedNode):
            raise refused(name)
        if node.view is not self.view:
            raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))
        linked = node.reach()
        with self.descriptor() as here:
            os.link(linked.path, name, dst_dir_fd=here, follow_symlinks=True)
        node.place(self, name)
        return node

    def _made(self, name: bytes, mode: int, caller: Caller) -> Node:
        """Give what was just made as *name* to the caller; return its node."""
        flags = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
        with self.descriptor() as here:
            opened = Descriptor(os.open(name, flags, dir_fd=here))
        self._give(opened, mode, caller)
        return self.adopt(name, os.fstat(opened.fd))

    def _give(self, made: Descriptor, mode: int, caller: Caller) -> None:
        """Owner, group and permissions as if the caller itself had made it here."""
        with self.descriptor() as here:
            parent, child = os.fstat(here), os.fstat(made.fd)
        uid, gid = self.view.creator(caller)
        if parent.st_mode & stat.S_ISGID:
            gid = child.st_gid
        if (child.st_uid, child.st_gid) != (uid, gid):
            os.chown(made.path, uid, gid)
        if stat.S_ISLNK(mode) or self._has_default_acl():
            return
        wanted = stat.S_IMODE(mode) & ~caller.umask
        if stat.S_ISDIR(mode):
            wanted |= child.st_mode & stat.S_ISGID
        if stat.S_IMODE(os.fstat(made.fd).st_mode) != wanted:
            os.chmod(made.path, wanted)

    def _has_default_acl(self) -> bool:
        """Whether an access control list, not the umask, decides the mode of new files."""
        try:
            with self.descriptor() as here:
                return bool(xattr.get(here, b"system.posix_acl_default"))
        except OSError as problem:
            if problem.errno in (errno.ENODATA, errno.EOPNOTSUPP):
                return False
            raise

    def unlink(self, name: bytes, caller: Caller) -> None:
        """unlink(2); who has the file open keeps it."""
        self._take_away(os.unlink, name, caller)

    def remove_directory(self, name: bytes, caller: Caller) -> None:
        """rmdir(2)."""
        self._take_away(os.rmdir, name, caller)

    def _take_away(self, call: Callable[..., None], name: bytes, caller: Caller) -> None:
        self.view.check_deletion(caller, name)
        with self.descriptor() as here:
            status = os.stat(name, dir_fd=here, follow_symlinks=False)
            with self._losing(name, status):
                call(name, dir_fd=here)

    @contextmanager
    def _losing(self, name: bytes, status: os.stat_result) -> Iterator[None]:
        """While the block takes an entry away: its node, if anyone knows it, loses a place.

        The node of a last name is given up beforehand: a moment later its inode number can be
        that of another file.
        """
        node = self.view.known(status)
        if node is None:
            yield
            return
        last = status.st_nlink < 2 or stat.S_ISDIR(status.st_mode)
        if last:
            self.view.retire(node)
        try:
            yield
        except OSError:
            if last:
                self.view.restore(node)
            raise
        node.displace(self, name)

    def rename(
        self, name: bytes, to: Directory, to_name: bytes, mode: RenameMode, caller: Caller
    ) -> None:
        """renameat2(2) within the view. Nodes follow: a directory's children hold it, no path."""
        self.view.check_deletion(caller, name)
        if not isinstance(to, Backed):
            raise refused(name)
        target = to.backing()
        if target.view is not self.view:
            raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))
        here, there = self.descriptor(), target.descriptor()
        moved = os.stat(name, dir_fd=here.fd, follow_symlinks=False)
        try:
            replaced = os.stat(to_name, dir_fd=there.fd, follow_symlinks=False)
        except FileNotFoundError:
            replaced = None
        same = replaced and self.view.identity(moved) == self.view.identity(replaced)
        if replaced is None or same or mode & RenameMode.EXCHANGE:
            rename.renameat2(here.fd, name, there.fd, to_name, int(mode))
        else:
            with target._losing(to_name, replaced):  # noqa: SLF001 - another of this class
                rename.renameat2(here.fd, name, there.fd, to_name, int(mode))
        if same:
            return  # two names of one file: rename(2) leaves both
        self.follow(moved, name, target, to_name)
        if replaced is not None and mode & RenameMode.EXCHANGE:
            target.follow(replaced, to_name, self, name)

    def follow(
        self, status: os.stat_result, name: bytes, to: "BackedDirectory", to_name: bytes
    ) -> None:
        """An entry has gone from here to another directory: so has its node."""
        node = self.view.known(status)
        if node is not None:
            node.place(to, to_name)
            node.displace(self, name)


class RootDirectory(BackedDirectory):
    """The root of a view. Making one opens nothing."""

    def __init__(self, view: View, ino: Ino) -> None:
        super().__init__(view, ino, (0, 0), stat.S_IFDIR)

    def descriptor(self) -> Descriptor:
        """The view's own."""
        return self.view.root()

    def status(self) -> os.stat_result:
        """stat(2) of the view's root."""
        with self.view.root() as fd:
            return os.fstat(fd)


class BackedListing(OpenDirectory):
    """An open directory that gives nodes and attributes by the batch."""

    def __init__(self, directory: BackedDirectory, names: Sequence[bytes]) -> None:
        super().__init__(names)
        self.steady = directory.view.immutable
        self._directory = directory
        self._found: list[ListedEntry] = []
        """All entries so far, where they cannot change and were asked for in order."""

    def batch(self, first: int, count: int) -> Sequence[ListedEntry]:
        """One stat(2) an entry, and one readlink(2) a symlink that cannot change."""
        found = self._look(first, count)
        if self.steady and first == len(self._found):
            self._found.extend(found)
            if len(self._found) == len(self.names):
                self._keep()
        return found

    def _keep(self) -> None:
        view = self._directory.view
        view.listings.keep(self._directory, self._found)
        if not view.is_open:  # closed meanwhile, which forgets all listings
            view.listings.drop(view)

    def _look(self, first: int, count: int) -> list[ListedEntry]:
        directory = self._directory
        here = directory.descriptor()
        fd, adopt, found = here.fd, directory.adopt, list[ListedEntry]()
        for position, name in enumerate(self.names[first : first + count], first):
            try:
                status = os.stat(name, dir_fd=fd, follow_symlinks=False)
            except FileNotFoundError:
                continue
            node = adopt(name, status)
            found.append(ListedEntry(position, name, node, node.known or node.learned(status)))
            if self.steady and isinstance(node, BackedLink):
                node.read_ahead(name, fd)
        return found
