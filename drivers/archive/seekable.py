"""A tar archive that is read at any offset, from its tar-split and the content of a layer.

Used by: backend.api.diffs. Knows nothing of: where the content is (it gets a function that opens).
Nothing before an offset is produced to get there: an index of the archive tells which header bytes
or which file stands where. The headers are kept compressed, about a tenth of their length.
"""

from __future__ import annotations

import os
import stat
import zlib
from array import array
from bisect import bisect_right
from collections.abc import Callable
from threading import Lock
from typing import BinaryIO, Final

from fastcrc import crc64

from drivers.archive import compression, tarsplit
from drivers.archive.compression import Compression
from drivers.archive.reassemble import CRC_OF_NOTHING, changed, opened
from drivers.errors import ArchiveError

_READ: Final = 1 << 20
_BLOCK: Final = 64 << 10
_LARGEST: Final = (1 << 63) - 1


class SeekableTar:
    """The plain tar, bit for bit. Thread-safe; to be closed.

    *tar_split* is the gzip file that ``apply`` wrote; it is read here and not kept. *open_file*
    gets a name as the archive has it and returns a descriptor that is closed here. A file whose
    size is not what it was is an ArchiveError, and so is one with other content at the end of
    reading it in order; single pieces of it are not compared with anything.
    """

    def __init__(self, tar_split: BinaryIO, open_file: Callable[[bytes], int]) -> None:
        self._open_file = open_file
        self._lock = Lock()
        # Where each part begins; from the part to its place in the headers, or ~ number of a file.
        self._starts, self._parts = array("Q"), array("q")
        self._headers = _Headers()
        self._files: list[tarsplit.File] = []
        self._reading: _Reading | None = None
        self.size = 0
        """Bytes of the whole archive."""
        stored = iter(lambda: tar_split.read(_READ), b"")
        for entry in tarsplit.read(compression.decompressed(stored, Compression.GZIP)):
            self._add(entry)
        self._headers.finish()

    def _add(self, entry: tarsplit.Segment | tarsplit.File) -> None:
        if isinstance(entry, tarsplit.Segment):
            if not self._parts or self._parts[-1] < 0:
                self._starts.append(self.size)
                self._parts.append(self._headers.length)
            self._headers.add(entry.payload)
            self.size += len(entry.payload)
        elif entry.size and entry.crc != CRC_OF_NOTHING:
            self._starts.append(self.size)
            self._parts.append(~len(self._files))
            self._files.append(entry)
            self.size += entry.size
            if self.size > _LARGEST:
                raise ArchiveError("its sizes are too large for a file", entry=entry.name)

    def read(self, offset: int, size: int) -> bytes:
        """Up to *size* bytes at *offset*; fewer only at the end."""
        pieces = []
        with self._lock:
            end = min(offset + size, self.size)
            while offset < end:
                part = bisect_right(self._starts, offset) - 1
                begin = self._starts[part]
                after = self._starts[part + 1] if part + 1 < len(self._starts) else self.size
                piece = self._of_part(self._parts[part], offset - begin, min(end, after) - offset)
                pieces.append(piece)
                offset += len(piece)
        return b"".join(pieces)

    def _of_part(self, part: int, inner: int, size: int) -> bytes:
        if part >= 0:
            return self._headers.read(part + inner, size)
        file = self._files[~part]
        if self._reading is None or self._reading.file is not file:
            self._let_go()
            self._reading = _Reading(file, opened(file, self._open_file))
        return self._reading.read(inner, size)

    def _let_go(self) -> None:
        if self._reading is not None:
            self._reading.close()
            self._reading = None

    def close(self) -> None:
        """Close the file that was read last."""
        with self._lock:
            self._let_go()


class _Headers:
    """All bytes of the archive that are in no file, one after the other, in compressed blocks."""

    def __init__(self) -> None:
        self.length = 0
        self._blocks: list[bytes] = []
        self._open = bytearray()
        self._last: tuple[int, bytes] = (-1, b"")

    def add(self, payload: bytes) -> None:
        self.length += len(payload)
        self._open += payload
        while len(self._open) >= _BLOCK:
            self._blocks.append(zlib.compress(self._open[:_BLOCK], 1))
            del self._open[:_BLOCK]

    def finish(self) -> None:
        self._blocks.append(zlib.compress(self._open, 1))
        self._open.clear()

    def read(self, position: int, size: int) -> bytes:
        """Up to *size* bytes of one block, at least one."""
        number, inner = divmod(position, _BLOCK)
        if self._last[0] != number:
            self._last = (number, zlib.decompress(self._blocks[number]))
        return self._last[1][inner : inner + size]


class _Reading:
    """A file that is open, and its checksum as far as it was read in order."""

    def __init__(self, file: tarsplit.File, fd: int) -> None:
        self.file, self._fd = file, fd
        self._read, self._crc = 0, 0
        facts = os.fstat(fd)
        if not stat.S_ISREG(facts.st_mode) or facts.st_size != file.size:
            self.close()
            raise changed(file, f"it has no {file.size} bytes any more")

    def read(self, inner: int, size: int) -> bytes:
        piece = os.pread(self._fd, size, inner)
        if not piece:
            raise changed(self.file, "it became shorter while it was read")
        if inner == self._read:
            self._read += len(piece)
            self._crc = crc64.go_iso(piece, self._crc)
            if self._read == self.file.size and self._crc != self.file.crc:
                raise changed(self.file, "its content is not what it was")
        return piece

    def close(self) -> None:
        os.close(self._fd)
