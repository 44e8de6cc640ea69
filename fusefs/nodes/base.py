"""What every node of the mounted tree is: attributes, and the verbs of its kind.

Used by: fusefs.operations (requests), fusefs.inodes, and every other module of fusefs.nodes.
Knows nothing of: FUSE, event loops, lookup counts, worker threads.
Rule: a method may block (the caller takes it off the event loop unless ``in_memory`` says that it
answers from memory); none caches what another process can change; errors are StorageError or
OSError and become an errno at the request boundary.
"""

import enum
import errno
import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import ClassVar, Final, NamedTuple, NewType

Ino = NewType("Ino", int)
"""Number of a node: 1 is the root; stable across remounts."""

ROOT_INO: Final = Ino(1)

LONG: Final = 86_400.0
"""Seconds that the kernel may keep what cannot change, or whose change we announce."""


def node_ino(*role: str) -> Ino:
    """The inode number of a synthetic node, from its kind, object ID and role; never 0 or 1.

    The top bit is set, so that numbers of backing files (top bit clear) cannot collide with it.
    """
    digest = blake2b("\0".join(role).encode("utf-8", "surrogateescape"), digest_size=8).digest()
    return Ino(int.from_bytes(digest, "little") | 1 << 63)


class Attributes(NamedTuple):
    """stat(2) of a node; times in nanoseconds since the epoch, ``blocks`` of 512 bytes.

    ``settled`` is False for what stands in until the node is looked at: not to be remembered.
    """

    ino: Ino
    mode: int
    nlink: int = 1
    uid: int = 0
    gid: int = 0
    size: int = 0
    blocks: int = 0
    block_size: int = 4096
    rdev: int = 0
    atime_ns: int = 0
    mtime_ns: int = 0
    ctime_ns: int = 0
    settled: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class AttributeChange:
    """What a setattr asks for; None leaves a value alone. Times in nanoseconds."""

    mode: int | None = None
    uid: int | None = None
    gid: int | None = None
    size: int | None = None
    atime_ns: int | None = None
    mtime_ns: int | None = None


class Caller(NamedTuple):
    """Who asks. ``pid`` is the thread ID that the kernel reports."""

    uid: int
    gid: int
    pid: int
    umask: int = 0o022


class RenameMode(enum.IntFlag):
    """renameat2(2) flags."""

    REPLACE = 0
    NO_REPLACE = 1
    EXCHANGE = 2


class Node:
    """A file, directory or symlink of the tree."""

    entry_timeout: float = LONG
    """Seconds that the kernel may keep the name. Who revokes it: fusefs/CACHING.md."""
    attr_timeout: float = LONG
    in_memory: ClassVar[bool] = True
    """Whether attributes, child and entries answer without waiting for a disk or a lock."""
    lock_free: ClassVar[bool] = False
    """Whether a node that is not ``in_memory`` waits for a disk only, never for a store lock."""
    attributes_in_memory: ClassVar[bool] = False
    """Whether attributes do, even where ``in_memory`` is False: a lookup of such a node must
    never wait for a worker thread, because one of those may be walking to it (fusefs.native)."""

    def __init__(self, ino: Ino) -> None:
        self.ino = ino

    def attributes_at_hand(self) -> bool:
        """Whether ``attributes`` would answer now without waiting for a disk or a lock."""
        return self.in_memory or self.attributes_in_memory

    def attributes(self) -> Attributes:
        """Current attributes. Raises FileNotFoundError or ESTALE if the object is gone."""
        raise NotImplementedError

    def set_attributes(self, change: AttributeChange, caller: Caller) -> Attributes:
        """Change attributes; refused unless a node says otherwise."""
        del change, caller
        raise OSError(errno.EPERM, "attributes of this node cannot be changed")

    def xattr_names(self) -> Sequence[bytes]:
        """Names of the extended attributes that are listed."""
        return ()

    def xattr(self, name: bytes) -> bytes:
        """Value of one extended attribute."""
        raise OSError(errno.ENODATA, os.strerror(errno.ENODATA), os.fsdecode(name))

    def set_xattr(self, name: bytes, value: bytes, flags: int) -> None:
        """Set one; refused unless a node says otherwise."""
        del name, value, flags
        raise OSError(errno.EPERM, "extended attributes of this node cannot be changed")

    def remove_xattr(self, name: bytes) -> None:
        """Remove one; refused unless a node says otherwise."""
        del name
        raise OSError(errno.EPERM, "extended attributes of this node cannot be changed")

    def released(self) -> None:
        """The kernel has forgotten this node: let go of what it holds. May not raise or block."""


class Link(Node):
    """A symlink."""

    def target_at_hand(self) -> bool:
        """Whether ``target`` would answer now without waiting for a disk or a lock."""
        return self.in_memory

    def target(self) -> bytes:
        """Where it points, as readlink(2) returns it."""
        raise NotImplementedError


class OpenFile:
    """One open of a file. ``direct_io`` is for content whose size stat cannot tell."""

    direct_io: bool = False
    keep_cache: bool = False
    in_memory: bool = True
    """Whether reads and writes answer without waiting for a disk or a lock."""
    reads_records: bool = False
    """Whether a read that is not ``in_memory`` may wait for a store lock."""

    def read(self, offset: int, size: int) -> bytes:
        """Up to *size* bytes at *offset*; fewer only at the end."""
        del offset, size
        raise OSError(errno.EBADF, "not open for reading")

    def fetched(self, offset: int, size: int) -> bytes | None:
        """The same, where it was read before anybody asked for it; it neither waits nor fails."""
        del offset, size
        return None

    def write(self, offset: int, data: bytes) -> int:
        """Write *data* at *offset*; return how many bytes were taken."""
        del offset, data
        raise OSError(errno.EBADF, "not open for writing")

    def truncate(self, size: int) -> None:
        """ftruncate(2)."""
        del size
        raise OSError(errno.EBADF, "not open for writing")

    def flush(self) -> None:
        """close(2) of one descriptor; an error is returned to the program that closes."""

    def fsync(self, *, data_only: bool) -> None:
        """fsync(2) or fdatasync(2)."""
        del data_only

    def ready(self) -> bool:
        """poll(2): whether a read would return something new now."""
        return True

    def release(self) -> None:
        """The last descriptor is gone. May not raise."""


class File(Node):
    """A regular file (or, behind passthrough, any non-directory that can be opened)."""

    def opens_at_once(self, flags: int) -> bool:
        """Whether ``open`` with these flags would not wait for a disk or a lock."""
        del flags
        return False

    def open(self, flags: int, caller: Caller) -> OpenFile:
        """Open it; *flags* as in open(2)."""
        raise NotImplementedError


class OpenDirectory:
    """One opendir: a snapshot of names. A position in ``names`` is the readdir cookie."""

    steady: bool = True
    """Whether attributes may be looked up before the request that hands them out. They may not
    where something can change without a notification: the kernel takes an answer for newer than
    every write that ended before it asked."""

    def __init__(self, names: Sequence[bytes]) -> None:
        self.names = names

    def batch(self, first: int, count: int) -> "Sequence[ListedEntry] | None":
        """Entries of ``names[first:first + count]`` with node and attributes, in one go.

        For directories where that is cheaper than ``child`` and ``attributes`` for each name; a
        name that has gone is left out. It may block. None: ask for each name.
        """
        del first, count
        return None

    def release(self) -> None:
        """The descriptor is closed. May not raise."""


class ListedEntry(NamedTuple):
    """One entry of a batch; ``position`` is its index in ``names``."""

    position: int
    name: bytes
    node: Node
    attributes: Attributes


class Listed(OpenDirectory):
    """An open directory whose entries were all there at once."""

    def __init__(self, entries: Sequence[ListedEntry]) -> None:
        super().__init__([entry.name for entry in entries])
        self._entries = entries

    def batch(self, first: int, count: int) -> Sequence[ListedEntry]:
        """As they were."""
        return self._entries[first : first + count]


class Directory(Node):
    """A directory. The verbs that change it refuse with EPERM unless a node says otherwise."""

    def child(self, name: bytes) -> Node:
        """The node called *name*; FileNotFoundError or UnknownObjectError if there is none."""
        raise NotImplementedError

    def names(self) -> Sequence[bytes]:
        """Names that are listed, in order, without the dots."""
        raise NotImplementedError

    def open(self, caller: Caller) -> OpenDirectory:
        """opendir(3): takes the snapshot of names."""
        del caller
        return OpenDirectory(self.names())

    def listed(self) -> "Sequence[ListedEntry] | None":
        """All entries, if they are in memory and cannot have changed since; asked before ``open``.

        It may not wait for a disk or a lock.
        """
        return None

    def make_directory(self, name: bytes, mode: int, caller: Caller) -> Node:
        """mkdir(2)."""
        del mode, caller
        raise refused(name)

    def remove_directory(self, name: bytes, caller: Caller) -> None:
        """rmdir(2)."""
        del caller
        raise refused(name)

    def make_link(self, name: bytes, target: bytes, caller: Caller) -> Node:
        """symlink(2)."""
        del target, caller
        raise refused(name)

    def make_hard_link(self, name: bytes, node: Node, caller: Caller) -> Node:
        """link(2)."""
        del node, caller
        raise refused(name)

    def make_special(self, name: bytes, mode: int, rdev: int, caller: Caller) -> Node:
        """mknod(2)."""
        del mode, rdev, caller
        raise refused(name)

    def create(self, name: bytes, mode: int, flags: int, caller: Caller) -> tuple[File, OpenFile]:
        """open(2) with O_CREAT."""
        del mode, flags, caller
        raise refused(name)

    def unlink(self, name: bytes, caller: Caller) -> None:
        """unlink(2)."""
        del caller
        raise refused(name)

    def rename(
        self, name: bytes, to: "Directory", to_name: bytes, mode: RenameMode, caller: Caller
    ) -> None:
        """rename(2) of *name* here to *to_name* in *to* (which may be this directory)."""
        del to, to_name, mode, caller
        raise refused(name)

    def statfs(self) -> os.statvfs_result | None:
        """statvfs(3) of what carries this directory; None for that of the graph root."""
        return None


class RefusedError(PermissionError):
    """EPERM, with the smallest thing that a person can do about it."""

    def __init__(self, reason: str, name: bytes = b"", *, remedy: str) -> None:
        super().__init__(errno.EPERM, reason, os.fsdecode(name))
        self.remedy = remedy


def refused(name: bytes) -> OSError:
    """EPERM for a verb that this directory does not have (never EXDEV: mv would copy)."""
    remedy = "README in the root of the tree says what can be done where"
    return RefusedError("not possible here", name, remedy=remedy)


def is_directory(attributes: Attributes) -> bool:
    """Whether these are attributes of a directory."""
    return stat.S_ISDIR(attributes.mode)


def missing(name: bytes) -> OSError:
    """ENOENT for a name that this directory does not have."""
    return FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), os.fsdecode(name))


def gone(what: str) -> OSError:
    """ESTALE for a node whose object is no longer there."""
    return OSError(errno.ESTALE, "it was deleted", what)
