"""The compressions of layers: which one a stream has, undoing and doing it in pieces.

Used by: drivers.archive.apply, backend.api. Knows nothing of: tar.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator


class Compression(enum.IntEnum):
    """The numbers are those of the ``compression`` field of layer records."""

    NONE = 0
    BZIP2 = 1
    GZIP = 2
    XZ = 3
    ZSTD = 4


def detect(head: bytes) -> Compression:
    """The compression of a stream that begins with *head*; NONE if no magic number is known."""
    raise NotImplementedError


def decompressed(chunks: Iterator[bytes], kind: Compression) -> Iterator[bytes]:
    """The plain bytes of *chunks*, in pieces of bounded size. Raises ArchiveError."""
    raise NotImplementedError


def compressed(chunks: Iterator[bytes], kind: Compression) -> Iterator[bytes]:
    """*chunks* compressed: NONE, GZIP or ZSTD. Raises UnsupportedCompressionError at once."""
    raise NotImplementedError
