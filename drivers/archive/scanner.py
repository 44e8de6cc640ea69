"""The entries of a tar archive, and every byte of it that is not the content of a file.

Used by: drivers.archive.apply; backend.api, for archives around layers. Knows nothing of:
tar-split, where entries go.

It accepts what Go's archive/tar accepts and sees the same entries there, with these exceptions,
all of them refused: sparse files (their bytes could not be put back together), extended headers
that no entry follows, IDs that no kernel knows, and headers that are endless.
"""

import os
from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple

from drivers.archive import header, pax
from drivers.archive.entry import DIRECTORY, NO_XATTRS, REGULAR, Entry
from drivers.archive.header import BLOCK, BadHeaderError, Header
from drivers.archive.stream import Stream
from drivers.errors import ArchiveError

GLOBAL: Final = b"g"
"""Type of an entry that stands for a global extended header."""
_WITHOUT_PAYLOAD: Final = frozenset({b"1", b"2", b"3", b"4", b"5", b"6"})
_CONTIGUOUS: Final = b"7"
_OLD_SPARSE: Final = b"S"
_EXTENDED_LIMIT: Final = 1 << 20
_FRAME_LIMIT: Final = 4 << 20
_TAIL_PIECE: Final = 1 << 20
_INDEX_PIECE: Final = 16 << 10
_LARGEST_ID: Final = (1 << 32) - 2
_NANOSECONDS: Final = 1_000_000_000
_ZEROS: Final = bytes(BLOCK)


class Member(NamedTuple):
    """The bytes before a payload (``frame``) and what they say.

    ``entry`` is None where the archive ends: only bytes follow then. ``recorded_size`` is the
    header's own, which links and directories may have although nothing follows.
    """

    frame: bytes
    entry: Entry | None = None
    recorded_size: int = 0
    payload: Iterator[memoryview] = iter(())


def scan(chunks: Iterator[bytes]) -> Iterator[Member]:
    """Every byte of *chunks* in the ``frame`` of a member or, for files, in its payload.

    The payload must be read before the next member is asked for; what is left is skipped.
    Raises ArchiveError.
    """
    stream = Stream(chunks)
    frames = Frames(stream)
    while (found := frames.next()) is not None:
        entry, recorded = found
        payload = stream.payload(entry.size)
        yield Member(frames.take(), entry, recorded, payload)
        for _ in payload:
            pass
    if end := frames.take():
        yield Member(end)
    while tail := stream.read(_TAIL_PIECE):
        yield Member(tail)


def index(fd: int) -> Iterator[tuple[Entry, int]]:
    """The entries of the archive in the regular file *fd*, each with the offset of its payload.

    Payloads are skipped, not read. Raises ArchiveError.
    """
    end = os.fstat(fd).st_size
    chunks = _FileChunks(fd)
    stream = Stream(chunks)
    frames = Frames(stream)
    while (found := frames.next()) is not None:
        entry, _ = found
        frames.take()
        offset = stream.offset
        if offset + entry.size > end:
            raise ArchiveError("unexpected EOF: its content is cut off", entry=entry.name)
        yield entry, offset
        chunks.position += stream.skip(entry.size)


class _FileChunks:
    """Pieces of a file from ``position`` on."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self.position = 0

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        chunk = os.pread(self._fd, _INDEX_PIECE, self.position)
        if not chunk:
            raise StopIteration
        self.position += len(chunk)
        return chunk


class Frames:
    """The headers of one archive, one entry after the other."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._raw: list[bytes] = []
        self._length = 0
        self._padding = 0

    def take(self) -> bytes:
        """The bytes since the last payload."""
        taken = b"".join(self._raw)
        self._raw.clear()
        self._length = 0
        return taken

    def next(self) -> tuple[Entry, int] | None:
        """The next entry and the size that its header has; None at the end of the archive."""
        offset = self._stream.offset + self._padding
        try:
            return self._next()
        except BadHeaderError as error:
            raise ArchiveError(
                f"archive/tar: invalid tar header at byte {offset}: {error}",
                remedy="give a tar archive, plain or compressed with gzip, bzip2, xz or zstd",
            ) from None

    def _next(self) -> tuple[Entry, int] | None:
        extension = _Extension()
        while (block := self._block()) is not None:
            found = header.decode(block)
            if found.size < 0:
                raise BadHeaderError("the size is negative")
            if found.type == GLOBAL:
                if extension.seen:
                    raise BadHeaderError("a global header, no entry, follows an extended header")
                return _global(found, self._extended(found)), 0
            if not extension.add(found, self._extended):
                return self._entry(found, extension)
        if extension.seen:
            raise ArchiveError("unexpected EOF: no entry follows an extended header")
        return None

    def _entry(self, found: Header, extension: "_Extension") -> tuple[Entry, int]:
        entry = extension.applied_to(found)
        _check_numbers(entry)
        recorded = entry.size
        if entry.type in _WITHOUT_PAYLOAD:
            entry = entry._replace(size=0)
        self._padding = -entry.size % BLOCK
        return entry, recorded

    def _block(self) -> bytes | None:
        """The next header block; None at the end marker or the end of the stream."""
        if self._padding:
            self._keep(self._stream.read(self._padding))
            self._padding = 0
        block = self._whole_block()
        if block != _ZEROS:
            return block
        second = self._whole_block()
        if second is None or second == _ZEROS:
            return None
        raise BadHeaderError("a block of zeros is followed by one that is not")

    def _whole_block(self) -> bytes | None:
        block = self._stream.read(BLOCK)
        if not block:
            return None
        self._keep(block)
        if len(block) < BLOCK:
            raise ArchiveError("unexpected EOF: the archive ends inside of a header")
        return block

    def _extended(self, found: Header) -> bytes:
        """The data of an extended header."""
        if found.size > _EXTENDED_LIMIT:
            raise BadHeaderError(f"an extended header of {found.size} bytes is too large")
        data = self._stream.read(found.size)
        if len(data) < found.size:
            raise ArchiveError("unexpected EOF: the archive ends inside of an extended header")
        self._keep(data)
        self._padding = -found.size % BLOCK
        return data

    def _keep(self, raw: bytes) -> None:
        self._length += len(raw)
        if self._length > _FRAME_LIMIT:
            raise BadHeaderError("there are too many extended headers before one entry")
        self._raw.append(raw)


class _Extension:
    """What extended headers, if any was ``seen``, say about the entry that follows them."""

    def __init__(self) -> None:
        self._records: dict[bytes, bytes] = {}
        self._name = self._linkname = b""
        self.seen = False

    def add(self, found: Header, read: Callable[[Header], bytes]) -> bool:
        """Take *found*, whose data *read* gives; False if it is no extended header."""
        if found.type == b"x":
            self._records = pax.records(read(found))
        elif found.type == b"L":
            self._name = read(found).partition(b"\0")[0]
        elif found.type == b"K":
            self._linkname = read(found).partition(b"\0")[0]
        else:
            return False
        self.seen = True
        return True

    def applied_to(self, found: Header) -> Entry:
        """The entry of *found*, a GNU name before that of a record before its own."""
        records = {key: value for key, value in self._records.items() if value}
        name = self._name or records.get(b"path") or found.name
        if found.type == _OLD_SPARSE or any(key.startswith(pax.SPARSE) for key in records):
            raise ArchiveError(
                "sparse files in archives are not supported",
                entry=name,
                remedy="make the archive without sparse files (tar without --sparse)",
            )
        entry = Entry(
            name,
            _type(found.type, name),
            self._linkname or records.get(b"linkpath") or found.linkname,
            found.size,
            found.mode,
            found.uid,
            found.gid,
            found.mtime * _NANOSECONDS,
            None if found.atime is None else found.atime * _NANOSECONDS,
            found.device,
        )
        return _with_records(entry, records) if records else entry


def _global(found: Header, data: bytes) -> Entry:
    """The entry of a global header, which has the name that its records give to others."""
    records = {key: value for key, value in pax.records(data).items() if value}
    _with_records(Entry(found.name, GLOBAL), records)
    return Entry(records.get(b"path") or found.name, GLOBAL)


def _type(typeflag: bytes, name: bytes) -> bytes:
    if typeflag == b"\0":
        return DIRECTORY if name.endswith(b"/") else REGULAR
    return REGULAR if typeflag == _CONTIGUOUS else typeflag


def _with_records(entry: Entry, records: dict[bytes, bytes]) -> Entry:
    """*entry* with the numbers, times and attributes of *records*."""
    changed: dict[str, Any] = {
        field: read(records[key]) for key, (field, read) in _NUMBERS.items() if key in records
    }
    if b"ctime" in records:
        pax.nanoseconds(records[b"ctime"])
    prefix = len(pax.XATTR)
    xattrs = {k[prefix:]: value for k, value in records.items() if k.startswith(pax.XATTR)}
    return entry._replace(**changed, xattrs=xattrs or NO_XATTRS)


_NUMBERS: Final = {
    b"size": ("size", pax.integer),
    b"uid": ("uid", pax.integer),
    b"gid": ("gid", pax.integer),
    b"mtime": ("mtime_ns", pax.nanoseconds),
    b"atime": ("atime_ns", pax.nanoseconds),
}


def _check_numbers(entry: Entry) -> None:
    if entry.size < 0 or entry.mode < 0 or min(entry.device) < 0:
        raise ArchiveError("a number in the header is negative", entry=entry.name)
    for number in (entry.uid, entry.gid):
        if not 0 <= number <= _LARGEST_ID:
            raise ArchiveError(f"{number} is no user or group ID", entry=entry.name)
