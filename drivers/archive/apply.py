"""One pass over a layer's archive: digests of both sides, owners, tar-split, and its entries.

Used by: backend.api. Knows nothing of: where entries go (an EntrySink), stores, records.

The calling thread reads, scans and feeds the sink; decompression, each digest and the compression
of the tar-split have a thread of their own, which is a few pieces away at most.
"""

import hashlib
import itertools
from collections.abc import Iterator
from contextlib import ExitStack, closing
from functools import partial
from typing import BinaryIO, Final, NamedTuple, Protocol

from fastcrc import crc64

from drivers.archive import compression, scanner, tarsplit, whiteout
from drivers.archive.ahead import ahead
from drivers.archive.compression import Compression
from drivers.archive.entry import Entry
from drivers.archive.worker import Worker

_CHUNK: Final = 256 << 10
_SHA256: Final = "sha256:"
_FASTEST: Final = 1


class EntrySink(Protocol):
    """Takes the entries of an archive, in their order, in the thread that calls ``apply``."""

    def add(self, entry: Entry, payload: Iterator[memoryview]) -> None:
        """Take *entry*; *payload* yields ``entry.size`` bytes.

        Each piece is valid only until the next one is asked for, and what the sink does not
        read is skipped. Reading may raise ArchiveError. Global PAX headers are not passed on.
        """

    def finish(self) -> None:
        """The archive is complete and intact; no entry follows. Not called after an error."""


class Applied(NamedTuple):
    """What is known of an archive after its last byte.

    Digests are ``sha256:HEX``; ``diff_digest`` and ``diff_size`` are those of the plain tar.
    ``uids`` and ``gids`` are sorted; whiteouts do not count (store-format 5.2).
    """

    compressed_digest: str
    compressed_size: int
    diff_digest: str
    diff_size: int
    compression: Compression
    uids: tuple[int, ...]
    gids: tuple[int, ...]


def apply(
    source: BinaryIO,
    sink: EntrySink,
    tar_split: BinaryIO,
    *,
    compressed_digest: str = "",
    compressed_size: int = -1,
    diff_digest: str = "",
) -> Applied:
    """Read *source* to its end once; give its entries to *sink* and its frame to *tar_split*.

    *tar_split* gets the gzip file that ``reassemble`` needs; it stays open, unsynced. A
    ``sha256:`` digest that the caller already knows is taken as it is and not computed, and so
    is *compressed_size* if it comes with *compressed_digest* (-1: not known). An empty stream is
    an empty layer. Raises ArchiveError, and whatever *source* and *sink* raise; then *tar_split*
    holds rubbish.
    """
    with ExitStack() as stack:
        kind, chunks = _opened(source)
        raw = plain = _Meter(stack, _if_sha256(compressed_digest))
        chunks = raw.passing(chunks)
        if kind is not Compression.NONE:
            plain = _Meter(stack, _if_sha256(diff_digest))
            decoded = ahead(partial(compression.decompressed, kind=kind), chunks)
            chunks = plain.passing(stack.enter_context(closing(decoded)))
        owners = _Owners()
        frame = _Frame(stack, tar_split)
        _copy(scanner.scan(chunks), sink, frame.lines, owners)
        frame.finish()
        whole = raw.digest()
        known_size = compressed_size if compressed_digest and compressed_size >= 0 else raw.size
        applied = Applied(
            whole,
            known_size,
            _if_sha256(diff_digest) or (whole if plain is raw else plain.digest()),
            plain.size,
            kind,
            owners.uids(),
            owners.gids(),
        )
    sink.finish()
    return applied


def _opened(source: BinaryIO) -> tuple[Compression, Iterator[bytes]]:
    """Which compression *source* has, and its bytes from the first one on."""
    head = b""
    while len(head) < compression.HEAD and (piece := source.read(_CHUNK)):
        head += piece
    chunks = iter(lambda: source.read(_CHUNK), b"")
    return compression.detect(head), itertools.chain([head] if head else [], chunks)


def _copy(
    members: Iterator[scanner.Member], sink: EntrySink, lines: tarsplit.Writer, owners: "_Owners"
) -> None:
    for frame, entry, size, payload in members:
        lines.segment(frame)
        if entry is None:
            continue
        lines.claim(entry.name)
        owners.add(entry)
        summed = _Summed(payload)
        if entry.type != scanner.GLOBAL:
            sink.add(entry, summed)
        for _ in summed:
            pass
        lines.file(entry.name, size, summed.crc)


class _Summed:
    """Passes a payload on and knows the checksum of what has passed."""

    __slots__ = ("_pieces", "crc")

    def __init__(self, pieces: Iterator[memoryview]) -> None:
        self._pieces = pieces
        self.crc = 0

    def __iter__(self) -> Iterator[memoryview]:
        return self

    def __next__(self) -> memoryview:
        piece = next(self._pieces)
        self.crc = crc64.go_iso(piece, self.crc)
        return piece


class _Owners:
    """The users and groups of an archive, without those of whiteouts."""

    def __init__(self) -> None:
        self._pairs: set[tuple[int, int]] = set()

    def add(self, entry: Entry) -> None:
        base = entry.name.rstrip(b"/").rpartition(b"/")[2]
        if not base.startswith(whiteout.PREFIX):
            self._pairs.add((entry.uid, entry.gid))

    def uids(self) -> tuple[int, ...]:
        return tuple(sorted({uid for uid, _ in self._pairs}))

    def gids(self) -> tuple[int, ...]:
        return tuple(sorted({gid for _, gid in self._pairs}))


class _Meter:
    """Counts what passes, and computes its digest unless that is *known*."""

    def __init__(self, stack: ExitStack, known: str) -> None:
        self.size = 0
        self._known = known
        self._hash = hashlib.sha256()
        self._worker = stack.enter_context(Worker(self._hash.update))

    def passing(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        for chunk in chunks:
            self.size += len(chunk)
            if not self._known:
                self._worker.give(chunk)
            yield chunk

    def digest(self) -> str:
        self._worker.finish()
        return self._known or _SHA256 + self._hash.hexdigest()


class _Frame:
    """The tar-split of an archive as a gzip file."""

    def __init__(self, stack: ExitStack, file: BinaryIO) -> None:
        self._file = file
        self._gzip = compression.gzip_encoder(_FASTEST)
        self._worker = stack.enter_context(Worker(self._write))
        self.lines = tarsplit.Writer(self._worker.give)

    def finish(self) -> None:
        self.lines.finish()
        self._worker.finish()
        self._file.write(self._gzip.flush())

    def _write(self, lines: bytes) -> None:
        self._file.write(self._gzip.compress(lines))


def _if_sha256(digest: str) -> str:
    return digest if digest.startswith(_SHA256) else ""
