"""One pass over a layer's archive: digests of both sides, owners, tar-split, and its entries.

Used by: backend.api. Knows nothing of: where entries go (an EntrySink), stores, records.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO, NamedTuple, Protocol

from drivers.archive.compression import Compression
from drivers.archive.entry import Entry


class EntrySink(Protocol):
    """Takes the entries of an archive, in their order, in the thread that calls ``apply``."""

    def add(self, entry: Entry, payload: Iterator[memoryview]) -> None:
        """Take *entry*; *payload* yields ``entry.size`` bytes.

        Each piece is valid only until the next one is asked for, and what the sink does not
        read is skipped. The whole of it is in memory or on its way: reading may raise
        ArchiveError. Global PAX headers are not passed on.
        """

    def finish(self) -> None:
        """The archive is complete and intact; no entry follows. Not called after an error."""


class Applied(NamedTuple):
    """What is known of an archive after its last byte.

    Digests are ``sha256:HEX``; ``diff_digest`` and ``diff_size`` are those of the plain tar.
    ``uids`` and ``gids`` are sorted; whiteouts do not count (store-format.md, 5.2).
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
    raise NotImplementedError
