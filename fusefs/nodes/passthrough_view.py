"""A view: one directory tree on disk that nodes show, known by the descriptor of its root.

Used by: the other passthrough modules and fusefs.nodes.content.
Knows nothing of: the verbs of files and directories, stores, layers.

No node keeps a descriptor: a directory is opened when it is needed, below the root descriptor of
its view, and the most recently used ones stay open (:class:`Descriptors`). Whoever uses a
descriptor holds its :class:`Descriptor`, so that eviction never closes it under a system call.
"""

import errno
import os
import stat
import time
from collections.abc import Callable, Sequence
from hashlib import blake2b
from threading import Lock
from typing import TYPE_CHECKING, Final
from weakref import WeakValueDictionary

from fusefs.nodes.base import LONG, Attributes, Caller, Ino, ListedEntry
from fusefs.nodes.readahead import READING, Readers
from fusefs.nodes.recent import Recent

if TYPE_CHECKING:
    from fusefs.nodes.identity import Owners
    from fusefs.nodes.passthrough_node import BackedNode

_BELOW_TOP_BIT: Final = (1 << 63) - 1
_OPEN_DIRECTORIES: Final = 256
_LISTED_ENTRIES: Final = 16384
"""About 1.2 KiB each, with the nodes: 20 MiB."""

Identity = tuple[int, int]
"""(device, inode). The device of the view's root counts as 0: it differs from mount to mount."""


class Descriptor:
    """A file descriptor that is closed when nobody refers to it any more.

    ``with something.descriptor() as fd`` refers to it until the end of the block. It has no weak
    references on purpose: one could bring it back, in another thread, while it is being closed.
    """

    __slots__ = ("fd",)

    def __init__(self, fd: int) -> None:
        self.fd = fd

    def __del__(self) -> None:
        os.close(self.fd)

    def __enter__(self) -> int:
        return self.fd

    def __exit__(self, *unused: object) -> None:
        del unused

    @property
    def path(self) -> str:
        """A path of what is open, for system calls that want one; nothing further is followed."""
        return f"/proc/self/fd/{self.fd}"


class Descriptors(Recent[Descriptor]):
    """The most recently used directory descriptors of all views."""

    def __init__(self, limit: int = _OPEN_DIRECTORIES) -> None:
        super().__init__(limit)


SHARED: Final = Descriptors()


class Listings(Recent[Sequence[ListedEntry]]):
    """The most recently used complete listings of directories that cannot change."""

    def __init__(self, limit: int = _LISTED_ENTRIES) -> None:
        super().__init__(limit, weigh=lambda entries: len(entries) + 1)


KEPT: Final = Listings()


class View:
    """One tree. Thread-safe; its root is opened at first use and may be closed and opened again.

    ``immutable`` content cannot be changed by anyone: the kernel may keep it for a day. Other
    content can change without our knowledge, so it is looked at again after a second. Without
    ``owners`` files belong to whom they belong on disk; ``rebase`` keeps symlinks in the view.
    """

    def __init__(
        self,
        key: str,
        open_root: Callable[[], int],
        *,
        writable: bool = False,
        immutable: bool = False,
        close_root: Callable[[], None] | None = None,
        may_delete: Callable[[Caller, bytes], None] | None = None,
        descriptors: Descriptors = SHARED,
        listings: Listings = KEPT,
        readers: Readers = READING,
        owners: "Owners | None" = None,
        rebase: bool = False,
    ) -> None:
        self.key = key
        self.owners, self.rebase = owners, rebase
        self.writable = writable
        self.immutable = immutable
        self.timeout = LONG if immutable else 1.0
        self.may_delete = may_delete
        self.descriptors, self.listings, self.readers = descriptors, listings, readers
        self.last_used = time.monotonic()
        self._open_root, self._close_root = open_root, close_root
        self._root: Descriptor | None = None
        self._device = 0
        self._salts: dict[int, int] = {}
        self._live: WeakValueDictionary[Identity, BackedNode] = WeakValueDictionary()
        # Nodes of files without a name, by number: theirs must not be given out again.
        self._retired: WeakValueDictionary[int, BackedNode] = WeakValueDictionary()
        self._open_files = 0
        self._opening = Lock()
        self._lock = Lock()

    def root(self) -> Descriptor:
        """The descriptor of the root; opens it if need be."""
        self.last_used = time.monotonic()
        held = self._root
        if held is not None:
            return held
        with self._opening:
            if self._root is None:
                opened = Descriptor(self._open_root())
                self._device = os.fstat(opened.fd).st_dev
                self._root = opened
            return self._root

    def close_if_idle(self, seconds: float) -> bool:
        """Close the root if no file is open and nothing asked for *seconds*; whether it is shut."""
        if not self._opening.acquire(blocking=False):
            return False
        try:
            if self._root is None:
                return True
            if self._open_files or time.monotonic() - self.last_used < seconds:
                return False
            self._shut()
            return True
        finally:
            self._opening.release()

    def close(self) -> None:
        """Close the root now; files that are open stay usable. It opens again when asked for."""
        with self._opening:
            if self._root is not None:
                self._shut()

    def _shut(self) -> None:
        self.descriptors.drop(self)
        self.listings.drop(self)
        self.readers.drop(self)
        with self._lock:
            for node in list(self._live.values()):
                node.doubt()
        self._root = None
        if self._close_root is not None:
            self._close_root()

    @property
    def is_open(self) -> bool:
        """Whether the root is open now."""
        return self._root is not None

    def file_opened(self, node: "BackedNode", descriptor: Descriptor | None) -> None:
        """An open file needs the view, and *node* can be reached by its descriptor, if any."""
        with self._lock:
            self._open_files += 1
            if descriptor is not None:
                node.opened = (*node.opened, descriptor)

    def file_closed(self, node: "BackedNode", descriptor: Descriptor | None) -> None:
        """Undo :meth:`file_opened`."""
        self.last_used = time.monotonic()
        with self._lock:
            self._open_files -= 1
            if descriptor is not None:
                node.opened = tuple(other for other in node.opened if other is not descriptor)

    def check_writable(self) -> None:
        """EROFS where nothing may be changed."""
        if not self.writable:
            raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    def check_creation(self, caller: Caller) -> None:
        """EROFS, or EOVERFLOW if what *caller* makes could belong to nobody."""
        self.check_writable()
        self.creator(caller)

    def creator(self, caller: Caller) -> tuple[int, int]:
        """Owner and group, on disk, of what *caller* makes."""
        if self.owners is None:
            return caller.uid, caller.gid
        return self.owners.creator(caller.uid, caller.gid)

    def shown(self, attributes: Attributes) -> Attributes:
        """Attributes of a file on disk as they are in the tree."""
        return attributes if self.owners is None else self.owners.shown(attributes)

    def check_deletion(self, caller: Caller, name: bytes) -> None:
        """EROFS, or whatever ``may_delete`` raises for *caller*."""
        self.check_writable()
        if self.may_delete is not None:
            self.may_delete(caller, name)

    def identity(self, status: os.stat_result) -> Identity:
        """What tells a file of this view from every other."""
        device = status.st_dev
        return (0 if device == self._device else device), status.st_ino

    def adopt(
        self,
        status: os.stat_result,
        make: "Callable[[View, Ino, os.stat_result], BackedNode]",
    ) -> "BackedNode":
        """The living node of the file that *status* is of, or a new one from *make*."""
        identity = self.identity(status)
        with self._lock:
            node = self._live.get(identity)
            if node is not None:
                if node.kind == stat.S_IFMT(status.st_mode):
                    return node
                self._retired[node.ino] = node
            number = self._number(identity)
            while number in self._retired:
                # The backing file system uses the number again, and the kernel knows it still.
                number = (number * 0x5851F42D4C957F2D + 0x14057B7EF767814F) & _BELOW_TOP_BIT
            node = make(self, Ino(number), status)
            self._live[identity] = node
            return node

    def known(self, status: os.stat_result) -> "BackedNode | None":
        """The living node of a file, if there is one."""
        return self._live.get(self.identity(status))

    def retire(self, node: "BackedNode") -> None:
        """The file loses its last name: its identity may belong to another from now on."""
        with self._lock:
            self._retired[node.ino] = node
            if self._live.get(node.identity) is node:
                del self._live[node.identity]

    def restore(self, node: "BackedNode") -> None:
        """Undo :meth:`retire`: the file has its name still."""
        with self._lock:
            self._live.setdefault(node.identity, node)
            self._retired.pop(node.ino, None)

    def identify(self, node: "BackedNode", status: os.stat_result) -> None:
        """Learn that the file has another identity now (overlay has copied it up)."""
        identity = self.identity(status)
        if identity != node.identity:
            with self._lock:
                self._live.pop(node.identity, None)
                node.identity = identity
                self._live[identity] = node

    def _number(self, identity: Identity) -> int:
        """Inode number: the backing one, made distinct from those of every other view."""
        device, inode = identity
        salt = self._salts.get(device)
        if salt is None:
            text = f"{self.key}\0{device}".encode("utf-8", "surrogateescape")
            salt = int.from_bytes(blake2b(text, digest_size=8).digest(), "little") & _BELOW_TOP_BIT
            self._salts[device] = salt
        return (inode ^ salt) & _BELOW_TOP_BIT
