"""A tar archive put together again from its tar-split and the content of a layer.

Used by: backend.api, drivers.archive.seekable. Knows nothing of: where the content is (it gets a
function that opens).
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Generator, Iterator
from typing import BinaryIO, Final

from fastcrc import crc64

from drivers.archive import compression, tarsplit
from drivers.archive.compression import Compression
from drivers.errors import ArchiveError

_READ: Final = 1 << 20
_TOGETHER: Final = 256 << 10
_ALONE: Final = 32 << 10
"""A piece of this size is not worth a copy."""
_OTHER: Final = "its content is not what it was"
CRC_OF_NOTHING: Final = 0
"""Recorded for links and directories whose header has a size although no payload follows."""


def reassemble(
    tar_split: BinaryIO, open_file: Callable[[bytes], int]
) -> Generator[bytes, None, None]:
    """The plain tar, bit for bit, in pieces of at most about 1 MiB.

    *tar_split* is the gzip file that ``apply`` wrote. *open_file* gets a name as the archive has
    it and returns a descriptor that is closed here. Raises ArchiveError if a file is missing or
    is not what it was: then what was yielded must not be used.
    """
    waiting: list[bytes] = []
    length = 0
    for piece in _pieces(tar_split, open_file):
        alone = len(piece) >= _ALONE
        if not alone:
            waiting.append(piece)
            length += len(piece)
        if waiting and (alone or length >= _TOGETHER):
            yield b"".join(waiting)
            waiting.clear()
            length = 0
        if alone:
            yield piece
    if waiting:
        yield b"".join(waiting)


def _pieces(tar_split: BinaryIO, open_file: Callable[[bytes], int]) -> Iterator[bytes]:
    stored = iter(lambda: tar_split.read(_READ), b"")
    for entry in tarsplit.read(compression.decompressed(stored, Compression.GZIP)):
        if isinstance(entry, tarsplit.Segment):
            yield entry.payload
        elif entry.size and entry.crc != CRC_OF_NOTHING:
            fd = opened(entry, open_file)
            try:
                _check_size(entry, fd)
                if entry.size <= _READ:
                    yield _read(entry, fd)
                else:
                    yield from _pieces_of(entry, fd)
            finally:
                os.close(fd)


def _check_size(file: tarsplit.File, fd: int) -> None:
    facts = os.fstat(fd)
    if not stat.S_ISREG(facts.st_mode):
        raise changed(file, "it is no regular file any more")
    if facts.st_size != file.size:
        raise changed(file, f"it has {facts.st_size} bytes and should have {file.size}")


def _read(file: tarsplit.File, fd: int) -> bytes:
    """The bytes of a small file, which must be those that the archive had."""
    data = os.read(fd, file.size)
    if len(data) != file.size or crc64.go_iso(data) != file.crc:
        raise changed(file, _OTHER)
    return data


def _pieces_of(file: tarsplit.File, fd: int) -> Iterator[bytes]:
    """The same of a large file."""
    left, crc = file.size, 0
    while left and (piece := os.read(fd, min(left, _READ))):
        left -= len(piece)
        crc = crc64.go_iso(piece, crc)
        yield piece
    if left or crc != file.crc:
        raise changed(file, _OTHER)


def opened(file: tarsplit.File, open_file: Callable[[bytes], int]) -> int:
    """Open a file of the layer; ArchiveError if it is missing."""
    try:
        return open_file(file.name)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise changed(file, "it is missing in the layer") from error


def changed(file: tarsplit.File, how: str) -> ArchiveError:
    """Say that a file of the layer is not what it was."""
    return ArchiveError(
        f"file integrity checksum failed: {how}",
        entry=file.name,
        remedy="the layer was changed behind the store: delete its images and pull them again",
    )
