"""A directory to try POSIX on: by the kernel (any path), or by our nodes without the kernel.

Used by: tests/conformance/posix_suite.py. Paths are bytes, relative to the subject's root.
"""

import contextlib
import errno
import os
import stat
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from drivers.linux import rename as linux_rename
from fusefs.nodes.base import (
    AttributeChange,
    Attributes,
    Caller,
    Directory,
    File,
    Link,
    Node,
    OpenFile,
    RenameMode,
)
from tests.support import process

ROOT = Caller(uid=0, gid=0, pid=os.getpid(), umask=0o022)


@dataclass(frozen=True, slots=True)
class Facts:
    """What stat(2) says, as far as the cases look."""

    ino: int
    mode: int
    nlink: int
    uid: int
    gid: int
    size: int
    blocks: int
    rdev: int
    mtime_ns: int
    atime_ns: int


class Opened(Protocol):
    """An open file."""

    def read(self, offset: int, size: int) -> bytes: ...
    def write(self, offset: int, data: bytes) -> int: ...
    def truncate(self, size: int) -> None: ...
    def facts(self) -> Facts: ...


class KernelFile:
    """An open file descriptor."""

    def __init__(self, fd: int) -> None:
        self.fd = fd

    def read(self, offset: int, size: int) -> bytes:
        return os.pread(self.fd, size, offset)

    def write(self, offset: int, data: bytes) -> int:
        return os.pwrite(self.fd, data, offset)

    def truncate(self, size: int) -> None:
        os.ftruncate(self.fd, size)

    def facts(self) -> Facts:
        return _facts(os.fstat(self.fd))


CREATE_AS = """
import os, sys
what, path, uid, gid, umask, mode = sys.argv[1], os.fsencode(sys.argv[2]), *map(int, sys.argv[3:])
parent, name = os.path.split(path)
fd = os.open(parent, os.O_PATH)
os.umask(umask); os.setgroups([]); os.setgid(gid); os.setuid(uid)
if what == "directory":
    os.mkdir(name, mode, dir_fd=fd)
elif what == "link":
    os.symlink("x", name, dir_fd=fd)
elif what == "fifo":
    os.mkfifo(name, mode, dir_fd=fd)
else:
    os.open(name, os.O_CREAT | os.O_EXCL | os.O_WRONLY, mode, dir_fd=fd)
"""


class KernelSubject:
    """A directory that the kernel shows."""

    def __init__(self, root: str | os.PathLike[str]) -> None:
        self.root = os.fsencode(root)

    def at(self, path: bytes) -> bytes:
        return self.root + b"/" + path if path else self.root

    def facts(self, path: bytes) -> Facts:
        return _facts(os.lstat(self.at(path)))

    def names(self, path: bytes) -> list[bytes]:
        return sorted(os.listdir(self.at(path)))

    def mkdir(self, path: bytes, mode: int = 0o755) -> None:
        os.mkdir(self.at(path), mode)

    def make_as(self, what: str, path: bytes, mode: int, *, uid: int, gid: int, umask: int) -> None:
        numbers = [str(number) for number in (uid, gid, umask, mode)]
        command = [sys.executable, "-c", CREATE_AS, what, os.fsdecode(self.at(path)), *numbers]
        process.run(command, timeout=20)

    def rmdir(self, path: bytes) -> None:
        os.rmdir(self.at(path))

    def unlink(self, path: bytes) -> None:
        os.unlink(self.at(path))

    def symlink(self, target: bytes, path: bytes) -> None:
        os.symlink(target, self.at(path))

    def readlink(self, path: bytes) -> bytes:
        return os.readlink(self.at(path))

    def link(self, path: bytes, new: bytes) -> None:
        os.link(self.at(path), self.at(new), follow_symlinks=False)

    def mknod(self, path: bytes, mode: int, rdev: int = 0) -> None:
        os.mknod(self.at(path), mode, rdev)

    def rename(self, path: bytes, new: bytes, flags: int = 0) -> None:
        here = os.open(self.root, os.O_PATH)
        try:
            linux_rename.renameat2(here, path, here, new, flags)
        finally:
            os.close(here)

    @contextlib.contextmanager
    def open(self, path: bytes, flags: int, mode: int = 0o644) -> Iterator[Opened]:
        fd = os.open(self.at(path), flags, mode)
        try:
            yield KernelFile(fd)
        finally:
            os.close(fd)

    def chmod(self, path: bytes, mode: int) -> None:
        os.chmod(self.at(path), mode)

    def chown(self, path: bytes, uid: int, gid: int) -> None:
        os.lchown(self.at(path), uid, gid)

    def utime(self, path: bytes, atime_ns: int, mtime_ns: int) -> None:
        os.utime(self.at(path), ns=(atime_ns, mtime_ns), follow_symlinks=False)

    def truncate(self, path: bytes, size: int) -> None:
        os.truncate(self.at(path), size)

    def xattr(self, path: bytes, name: bytes) -> bytes:
        return os.getxattr(self.at(path), name, follow_symlinks=False)

    def xattrs(self, path: bytes) -> list[bytes]:
        return [os.fsencode(n) for n in os.listxattr(self.at(path), follow_symlinks=False)]

    def set_xattr(self, path: bytes, name: bytes, value: bytes) -> None:
        os.setxattr(self.at(path), name, value, follow_symlinks=False)

    def remove_xattr(self, path: bytes, name: bytes) -> None:
        os.removexattr(self.at(path), name, follow_symlinks=False)


class NodeFile:
    """An open file of the node tree."""

    def __init__(self, node: Node, file: OpenFile, append: bool) -> None:
        self.node, self.file, self.append = node, file, append

    def read(self, offset: int, size: int) -> bytes:
        return self.file.read(offset, size)

    def write(self, offset: int, data: bytes) -> int:
        return self.file.write(offset, data)

    def truncate(self, size: int) -> None:
        self.file.truncate(size)

    def facts(self) -> Facts:
        return _shown(self.node.attributes())


class NodeSubject:
    """The same by nodes: what the kernel checks beforehand is checked here as it would."""

    def __init__(self, root: Directory) -> None:
        self.root = root
        # As the kernel does, hold each node that was met.
        self.held: dict[int, Node] = {root.ino: root}

    def node(self, path: bytes) -> Node:
        node: Node = self.root
        for name in filter(None, path.split(b"/")):
            if len(name) > 255:
                raise OSError(errno.ENAMETOOLONG, "name too long")
            if not isinstance(node, Directory):
                raise NotADirectoryError(errno.ENOTDIR, "not a directory")
            node = node.child(name)
            node = self.held.setdefault(node.ino, node)
        return node

    def parent(self, path: bytes) -> tuple[Directory, bytes]:
        above, _, name = path.rpartition(b"/")
        directory = self.node(above)
        if len(name) > 255:
            raise OSError(errno.ENAMETOOLONG, "name too long")
        assert isinstance(directory, Directory)
        return directory, name

    def _new(self, path: bytes) -> tuple[Directory, bytes]:
        directory, name = self.parent(path)
        with contextlib.suppress(FileNotFoundError):
            directory.child(name)
            raise FileExistsError(errno.EEXIST, "exists")
        return directory, name

    def facts(self, path: bytes) -> Facts:
        return _shown(self.node(path).attributes())

    def names(self, path: bytes) -> list[bytes]:
        directory = self.node(path)
        assert isinstance(directory, Directory)
        listing = directory.open(ROOT)
        found = listing.batch(0, len(listing.names))
        assert found is not None
        for entry in found:
            assert self.held.setdefault(entry.node.ino, entry.node) is entry.node
        return sorted(entry.name for entry in found)

    def mkdir(self, path: bytes, mode: int = 0o755) -> None:
        directory, name = self._new(path)
        directory.make_directory(name, mode, ROOT)

    def make_as(self, what: str, path: bytes, mode: int, *, uid: int, gid: int, umask: int) -> None:
        directory, name = self._new(path)
        caller = Caller(uid, gid, os.getpid(), umask)
        if what == "directory":
            directory.make_directory(name, mode, caller)
        elif what == "link":
            directory.make_link(name, b"x", caller)
        elif what == "fifo":
            directory.make_special(name, stat.S_IFIFO | mode, 0, caller)
        else:
            directory.create(name, mode, os.O_WRONLY | os.O_EXCL, caller)[1].release()

    def rmdir(self, path: bytes) -> None:
        directory, name = self.parent(path)
        directory.remove_directory(name, ROOT)

    def unlink(self, path: bytes) -> None:
        directory, name = self.parent(path)
        directory.unlink(name, ROOT)

    def symlink(self, target: bytes, path: bytes) -> None:
        directory, name = self._new(path)
        directory.make_link(name, target, ROOT)

    def readlink(self, path: bytes) -> bytes:
        node = self.node(path)
        assert isinstance(node, Link)
        return node.target()

    def link(self, path: bytes, new: bytes) -> None:
        node = self.node(path)
        directory, name = self._new(new)
        directory.make_hard_link(name, node, ROOT)

    def mknod(self, path: bytes, mode: int, rdev: int = 0) -> None:
        directory, name = self._new(path)
        directory.make_special(name, mode, rdev, ROOT)

    def rename(self, path: bytes, new: bytes, flags: int = 0) -> None:
        directory, name = self.parent(path)
        to, to_name = self.parent(new)
        directory.rename(name, to, to_name, RenameMode(flags), ROOT)

    @contextlib.contextmanager
    def open(self, path: bytes, flags: int, mode: int = 0o644) -> Iterator[Opened]:
        node, file = self._open(path, flags, mode)
        try:
            yield NodeFile(node, file, bool(flags & os.O_APPEND))
        finally:
            file.flush()
            file.release()

    def _open(self, path: bytes, flags: int, mode: int) -> tuple[Node, OpenFile]:
        try:
            node = self.node(path)
        except FileNotFoundError:
            if not flags & os.O_CREAT:
                raise
            directory, name = self.parent(path)
            made, file = directory.create(name, mode, flags, ROOT)
            return self.held.setdefault(made.ino, made), file
        if flags & os.O_CREAT and flags & os.O_EXCL:
            raise FileExistsError(errno.EEXIST, "exists")
        if not isinstance(node, File):
            raise OSError(errno.EISDIR, "no file")
        return node, node.open(flags & ~(os.O_CREAT | os.O_EXCL), ROOT)

    def chmod(self, path: bytes, mode: int) -> None:
        self.node(path).set_attributes(AttributeChange(mode=mode), ROOT)

    def chown(self, path: bytes, uid: int, gid: int) -> None:
        self.node(path).set_attributes(AttributeChange(uid=uid, gid=gid), ROOT)

    def utime(self, path: bytes, atime_ns: int, mtime_ns: int) -> None:
        change = AttributeChange(atime_ns=atime_ns, mtime_ns=mtime_ns)
        self.node(path).set_attributes(change, ROOT)

    def truncate(self, path: bytes, size: int) -> None:
        self.node(path).set_attributes(AttributeChange(size=size), ROOT)

    def xattr(self, path: bytes, name: bytes) -> bytes:
        return self.node(path).xattr(name)

    def xattrs(self, path: bytes) -> list[bytes]:
        return list(self.node(path).xattr_names())

    def set_xattr(self, path: bytes, name: bytes, value: bytes) -> None:
        self.node(path).set_xattr(name, value, 0)

    def remove_xattr(self, path: bytes, name: bytes) -> None:
        self.node(path).remove_xattr(name)


Subject = KernelSubject | NodeSubject


def _facts(status: os.stat_result) -> Facts:
    return Facts(
        status.st_ino,
        status.st_mode,
        status.st_nlink,
        status.st_uid,
        status.st_gid,
        status.st_size,
        status.st_blocks,
        status.st_rdev,
        status.st_mtime_ns,
        status.st_atime_ns,
    )


def _shown(shown: Attributes) -> Facts:
    return Facts(
        shown.ino,
        shown.mode,
        shown.nlink,
        shown.uid,
        shown.gid,
        shown.size,
        shown.blocks,
        shown.rdev,
        shown.mtime_ns,
        shown.atime_ns,
    )


def refuses(number: int) -> Any:
    """Like pytest.raises for one errno."""
    import pytest

    return pytest.raises(OSError, check=lambda failure: failure.errno == number)
