"""The files of an image archive: a directory, a tar, or a compressed tar, read by name.

Used by: backend.store (opens), backend.api.importing (reads).
Knows nothing of: manifests, images, stores.

Archives come from strangers. A directory is read beneath its own root; of a tar only the names
and places of its members are kept, and links in it lead to other members.
"""

from __future__ import annotations

import io
import itertools
import os
import posixpath
import stat
import tempfile
from contextlib import AbstractContextManager
from typing import IO, TYPE_CHECKING, BinaryIO, Final, Protocol

from drivers.archive import compression, scanner
from drivers.errors import ArchiveError
from drivers.linux.beneath import open_beneath

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_CHUNK: Final = 1 << 20
_MOST_MEMBERS: Final = 100_000
_DEEPEST: Final = 16
_TAIL: Final = 40


class ArchiveFiles(AbstractContextManager["ArchiveFiles"], Protocol):
    """Files by name; names are relative and have no dots."""

    label: str
    """What messages call the archive."""

    def has(self, name: str) -> bool:
        """Whether there is such a file."""
        ...

    def open(self, name: str) -> BinaryIO:
        """Read a file from its start. Raises ArchiveError if there is none."""
        ...


def read(files: ArchiveFiles, name: str, limit: int) -> bytes:
    """A whole small file. Raises ArchiveError if it has more than *limit* bytes."""
    with files.open(name) as stream:
        data = stream.read(limit + 1)
    if len(data) > limit:
        raise ArchiveError(f"{files.label}: {name} is longer than {limit} bytes")
    return data


def open_files(path: str, *, spool: str) -> ArchiveFiles:
    """Open an archive; "-" is standard input.

    What cannot be read at any place, because it is compressed or a pipe, is first written to a
    nameless file in the directory *spool*.
    """
    if path == "-":
        return _of_stream(0, "standard input", spool)
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    if stat.S_ISDIR(os.fstat(fd).st_mode):
        return _Directory(fd, path)
    return _of_stream(fd, path, spool)


class _Directory:
    """An OCI layout, or what ``skopeo copy`` writes as ``dir:``."""

    def __init__(self, fd: int, label: str) -> None:
        self._fd, self.label = fd, label

    def has(self, name: str) -> bool:
        try:
            os.close(self._open(name))
        except FileNotFoundError:
            return False
        return True

    def open(self, name: str) -> BinaryIO:
        try:
            fd = self._open(name)
        except OSError as error:
            raise ArchiveError(f"{self.label}: {name}: {error.strerror}") from error
        return os.fdopen(fd, "rb", buffering=_CHUNK)

    def _open(self, name: str) -> int:
        """Open a regular file; a FIFO or device of that name is not waited for."""
        flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK
        fd = open_beneath(self._fd, os.fsencode(name), flags, follow_last=True)
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            os.close(fd)
            raise ArchiveError(f"{self.label}: {name} is no regular file")
        return fd

    def __exit__(self, *_: object) -> None:
        os.close(self._fd)

    def __enter__(self) -> _Directory:
        return self


class _Tar:
    """A plain tar in a file that can be read at any place."""

    def __init__(self, file: IO[bytes], label: str) -> None:
        self._file, self.label = file, label
        self._fd = file.fileno()
        self._places: dict[str, tuple[int, int]] = {}
        self._links: dict[str, str] = {}
        for entry, offset in scanner.index(self._fd):
            self._add(entry.name, entry.type, entry.linkname, offset, entry.size)

    def _add(self, raw: bytes, kind: bytes, link: bytes, offset: int, size: int) -> None:
        name = _clean(os.fsdecode(raw))
        if len(self._places) + len(self._links) >= _MOST_MEMBERS:
            raise ArchiveError(f"more than {_MOST_MEMBERS} members")
        self._links.pop(name, None)
        self._places.pop(name, None)
        if kind == b"0":
            self._places[name] = offset, size
        elif kind == b"1":
            self._links[name] = _clean(os.fsdecode(link))
        elif kind == b"2":
            self._links[name] = _clean(posixpath.join(posixpath.dirname(name), os.fsdecode(link)))

    def has(self, name: str) -> bool:
        return self._place(name) is not None

    def open(self, name: str) -> BinaryIO:
        place = self._place(name)
        if place is None:
            raise ArchiveError(f"{self.label} has no file {name[-_TAIL:]}")
        return io.BufferedReader(_Part(self._fd, *place), _CHUNK)

    def _place(self, name: str) -> tuple[int, int] | None:
        name = _clean(name)
        for _ in range(_DEEPEST):
            if name in self._places:
                return self._places[name]
            if name not in self._links:
                return None
            name = self._links[name]
        return None

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def __enter__(self) -> _Tar:
        return self


class _Part(io.RawIOBase):
    """Some bytes of a file, read without moving anybody's position."""

    def __init__(self, fd: int, offset: int, size: int) -> None:
        super().__init__()
        self._fd, self._offset, self._end = fd, offset, offset + size

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        view = memoryview(buffer)[: self._end - self._offset]
        done = os.preadv(self._fd, [view], self._offset) if view else 0
        if view and not done:
            raise ArchiveError("unexpected EOF: the archive ends in the middle of a member")
        self._offset += done
        return done


def _of_stream(fd: int, label: str, spool: str) -> _Tar:
    """The tar in *fd*, which is closed with it or, where the tar is unpacked first, at once."""
    file: IO[bytes] = os.fdopen(fd, "rb", closefd=fd > 2)
    try:
        if not _is_plain(fd):
            with file as packed:
                file = _unpacked(packed, spool)
        return _Tar(file, label)
    except ArchiveError as error:
        file.close()
        raise ArchiveError(f"{label}: {error}", remedy=error.remedy) from error
    except BaseException:
        file.close()
        raise


def _is_plain(fd: int) -> bool:
    """Whether it can be read at any place, and as it is."""
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        return False
    return compression.detect(os.pread(fd, compression.HEAD, 0)) is compression.Compression.NONE


def _unpacked(packed: IO[bytes], spool: str) -> IO[bytes]:
    """A nameless file with what is compressed, or comes through a pipe, in *packed*."""
    copy = tempfile.TemporaryFile(dir=spool)  # noqa: SIM115 - the archive owns it
    try:
        head = packed.read(_CHUNK)
        chunks = itertools.chain([head], iter(lambda: packed.read(_CHUNK), b""))
        copy.writelines(compression.decompressed(chunks, compression.detect(head)))
        copy.flush()
    except BaseException:
        copy.close()
        raise
    return copy


def _clean(name: str) -> str:
    """A member's name without dots; what would lead out stays inside."""
    return posixpath.normpath("/" + name).lstrip("/")
