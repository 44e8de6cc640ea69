"""Unpacking a layer's archive below a directory, as the Go tools do and nowhere else.

Used by: backend.api (a layer that arrives). Knows nothing of: compression, digests, stores.

The Go tools unpack in a process whose root directory is the layer's; here every path is resolved
as if it were, and the last component is never followed (store-format 9.4 to 9.6). What exists
gives way to what comes, but a directory stays for a directory. Directories get their times at
the end. Nothing is synced.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from typing import Final

from drivers.archive import entry as kinds
from drivers.archive.entry import Entry
from drivers.archive.unpackattributes import (
    Attributes,
    Times,
    UnpackOptions,
    directory_times,
    file_times,
)
from drivers.archive.unpackmarkers import markers
from drivers.archive.unpacknames import inside, is_dot, split
from drivers.archive.unpackplaces import Places
from drivers.errors import ArchiveError, UnpackFailedError
from drivers.protocol import Whiteouts

__all__ = ("UnpackOptions", "Unpacker")

_ATTEMPTS: Final = 16
_NEW_FILE: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_SAME_DIRECTORY: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NODES: Final = {
    kinds.CHARACTER: stat.S_IFCHR,
    kinds.BLOCK: stat.S_IFBLK,
    kinds.FIFO: stat.S_IFIFO,
}
_DEVICES: Final = (kinds.CHARACTER, kinds.BLOCK)
_LAST_MAJOR: Final = 0xFFF
_LAST_MINOR: Final = 0xFFFFF
_BLAMED_ON_ARCHIVE: Final = frozenset(
    {
        errno.EEXIST,
        errno.EINVAL,
        errno.ELOOP,
        errno.ENAMETOOLONG,
        errno.ENODATA,
        errno.ENOENT,
        errno.ENOTDIR,
        errno.EISDIR,
        errno.EMLINK,
        errno.ERANGE,
        errno.E2BIG,
        errno.EXDEV,
    }
)


class Unpacker:
    """An EntrySink that makes every entry below *root*, a descriptor that stays the caller's.

    Close it (or use ``with``) whether or not all went well: it holds descriptors.
    """

    def __init__(self, root: int, *, whiteouts: Whiteouts, options: UnpackOptions) -> None:
        self._rootless = options.rootless
        self._attributes = Attributes(options)
        self._places = Places(root, self._made_missing)
        self._markers = markers(
            whiteouts, self._places, self._attributes, options.xattr_prefix, root
        )
        self._directories: list[tuple[bytes, Times]] = []

    def add(self, entry: Entry, payload: Iterator[memoryview]) -> None:
        """Make *entry*; what was made before stays if that fails.

        Raises ArchiveError, which names it, or UnpackFailedError.
        """
        try:
            path = inside(entry.name, entry=entry.name)
            if not path:
                self._root_entry(entry)
            elif not self._markers.take(path, entry, payload):
                self._replace(path, *self._markers.resolve(entry, payload))
        except OSError as error:
            raise _explained(error, entry.name) from error

    def finish(self) -> None:
        """Set the times of the directories; no entry may follow. Raises as :meth:`add`."""
        for path, times in self._directories:
            try:
                self._places.set_times(path, times)
            except OSError as error:
                raise _explained(error, path) from error

    def close(self) -> None:
        """Close the descriptors that were kept. A second call does nothing."""
        self._places.close()
        self._markers.close()

    def __enter__(self) -> Unpacker:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _made_missing(self, path: bytes, fd: int) -> None:
        self._markers.made_missing(path, fd)

    def _root_entry(self, entry: Entry) -> None:
        if entry.type != kinds.DIRECTORY:
            raise ArchiveError("the root of a layer is a directory", entry=entry.name or b".")
        if self._markers.dot_is_entry or not is_dot(entry.name):
            self._describe(b"", entry)

    def _replace(self, path: bytes, entry: Entry, payload: Iterator[memoryview]) -> None:
        """Make *entry* at *path*; what is there and cannot stay is removed."""
        parent, name = split(path)
        if entry.type in _DEVICES:
            _check_device(entry)
            if self._rootless:  # left out, as in the Go tools
                self._places.find_or_make(parent)
                self._places.erase(parent, name)
                return
        self._places.find_or_make(parent)
        for _ in range(_ATTEMPTS):
            directory = self._places.find(parent)  # a link may lead through what was removed
            try:
                self._create(directory, name, path, entry, payload)
            except FileExistsError:
                self._places.erase(parent, name)
            else:
                self._markers.unpacked(path, directory=entry.type == kinds.DIRECTORY)
                return
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))

    def _create(
        self,
        directory: int,
        name: bytes,
        path: bytes,
        entry: Entry,
        payload: Iterator[memoryview],
    ) -> None:
        """Make *entry*; FileExistsError if something that cannot stay has its name."""
        if entry.type == kinds.REGULAR:
            self._make_file(directory, name, entry, payload)
        elif entry.type == kinds.DIRECTORY:
            self._places.keep(path, _made_directory(directory, name))
            self._describe(path, entry)
        elif entry.type == kinds.SYMLINK:
            self._make_link(directory, name, entry)
        elif entry.type == kinds.HARD_LINK:
            self._make_hard_link(directory, name, entry)
        elif entry.type in _NODES:
            self._make_node(directory, name, entry)
        else:
            raise ArchiveError(f"unhandled tar header type {entry.type[0]}", entry=entry.name)

    def _make_file(
        self, directory: int, name: bytes, entry: Entry, payload: Iterator[memoryview]
    ) -> None:
        fd = os.open(name, _NEW_FILE, 0o600, dir_fd=directory)
        try:
            for piece in payload:
                rest = piece
                while rest:
                    rest = rest[os.write(fd, rest) :]
            self._attributes.set_open(fd, entry, file_times(entry))
        finally:
            os.close(fd)

    def _describe(self, path: bytes, entry: Entry) -> None:
        self._attributes.set_open(self._places.find(path), entry, None)
        self._directories.append((path, directory_times(entry)))

    def _make_link(self, directory: int, name: bytes, entry: Entry) -> None:
        if b"\0" in entry.linkname:
            raise ArchiveError("a NUL in its target", entry=entry.name)
        os.symlink(entry.linkname, name, dir_fd=directory)
        self._attributes.set_named(directory, name, entry, link=True)

    def _make_hard_link(self, directory: int, name: bytes, entry: Entry) -> None:
        target_parent, target = split(inside(entry.linkname, entry=entry.name))
        source = self._places.find(target_parent)
        status = os.stat(target, dir_fd=source, follow_symlinks=False)
        if not target or stat.S_ISDIR(status.st_mode):
            raise ArchiveError("a hard link to a directory", entry=entry.name)
        os.link(target, name, src_dir_fd=source, dst_dir_fd=directory, follow_symlinks=False)
        link = stat.S_ISLNK(status.st_mode)
        self._attributes.set_named(directory, name, entry, link=link)

    def _make_node(self, directory: int, name: bytes, entry: Entry) -> None:
        device = os.makedev(*entry.device) if entry.type in _DEVICES else 0
        os.mknod(name, _NODES[entry.type] | 0o600, device, dir_fd=directory)
        self._attributes.set_named(directory, name, entry, link=False)


def _check_device(entry: Entry) -> None:
    major, minor = entry.device
    if not (0 <= major <= _LAST_MAJOR and 0 <= minor <= _LAST_MINOR):
        raise ArchiveError(f"no device has the number {major}:{minor}", entry=entry.name)


def _made_directory(directory: int, name: bytes) -> int:
    try:
        os.mkdir(name, 0o700, dir_fd=directory)
    except FileExistsError:
        try:
            return os.open(name, _SAME_DIRECTORY, dir_fd=directory)
        except NotADirectoryError:
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST)) from None
    return os.open(name, _SAME_DIRECTORY, dir_fd=directory)


def _explained(error: OSError, name: bytes) -> ArchiveError | UnpackFailedError:
    number = error.errno or errno.EIO
    if number in _BLAMED_ON_ARCHIVE:
        return ArchiveError(os.strerror(number), entry=name)
    return UnpackFailedError(name, number)
