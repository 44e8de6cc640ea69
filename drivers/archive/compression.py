"""The compressions of layers: which one a stream has, undoing and doing it in pieces.

Used by: what reads or writes archives in drivers.archive and backend.api, fusefs.nodes.layertar.
Knows nothing of: tar.

Whatever a stream claims, memory stays bounded: pieces are small in both directions, and a window
or dictionary that needs more than 128 MiB is refused, as the zstd command does.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Callable, Iterator
from typing import Final, Protocol, cast

from drivers.errors import ArchiveError, UnsupportedCompressionError

_IN: Final = 256 << 10
_OUT: Final = 1 << 20
_MEMORY: Final = 128 << 20
_GZIP_LEVEL: Final = 3
_GZIP_FORMAT: Final = 31


class Compression(enum.IntEnum):
    """The numbers are those of the ``compression`` field of layer records."""

    NONE = 0
    BZIP2 = 1
    GZIP = 2
    XZ = 3
    ZSTD = 4


_MAGIC: Final = {
    b"\x1f\x8b\x08": Compression.GZIP,
    b"\xfd\x37\x7a\x58\x5a\x00": Compression.XZ,
    b"\x28\xb5\x2f\xfd": Compression.ZSTD,
}
_BZIP2: Final = re.compile(rb"BZh[1-9](?:1AY&SY|\x17\x72\x45\x38\x50\x90)")
"""More than the three letters, with which the first name of a plain archive may begin."""
HEAD: Final = 10
"""This many bytes tell all compressions apart."""


def detect(head: bytes) -> Compression:
    """The compression of a stream that begins with *head*; NONE if no magic number is known."""
    if _BZIP2.match(head):
        return Compression.BZIP2
    for magic, kind in _MAGIC.items():
        if head.startswith(magic):
            return kind
    return Compression.NONE


def decompressed(chunks: Iterator[bytes], kind: Compression) -> Iterator[bytes]:
    """The plain bytes of *chunks*, in pieces of at most 1 MiB unless they are plain already.

    Streams may follow each other. All of *chunks* is read. Raises ArchiveError.
    """
    if kind is Compression.NONE:
        return chunks
    new, damage = _decoder(kind)
    return _streams(chunks, kind, new, damage)


def compressed(chunks: Iterator[bytes], kind: Compression) -> Iterator[bytes]:
    """*chunks* compressed: NONE, GZIP or ZSTD. Raises UnsupportedCompressionError at once."""
    match kind:
        case Compression.NONE:
            return chunks
        case Compression.GZIP:
            return _encoded(chunks, gzip_encoder(_GZIP_LEVEL))
        case Compression.ZSTD:
            from drivers.archive import zstdcodec

            return _encoded(chunks, zstdcodec.encoder())
        case _:
            raise UnsupportedCompressionError(kind.name.lower())


class Encoder(Protocol):
    """What the encoders have in common."""

    def compress(self, data: bytes, /) -> bytes:
        """What comes out now that *data* went in."""

    def flush(self) -> bytes:
        """What is left; the stream is complete."""


def gzip_encoder(level: int) -> Encoder:
    """One that makes a single gzip stream without name and time, at a *level* from 0 to 3."""
    from isal import isal_zlib

    return isal_zlib.compressobj(level, wbits=_GZIP_FORMAT)


class _Decoder(Protocol):
    """What the decoders of bz2, lzma, isal and zstd have in common."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, /, max_length: int) -> bytes: ...


def _decoder(kind: Compression) -> tuple[Callable[[], _Decoder], type[Exception]]:
    """What makes a decoder, and what this raises for damaged data."""
    match kind:
        case Compression.BZIP2:
            import bz2

            return bz2.BZ2Decompressor, OSError
        case Compression.GZIP:
            from isal import igzip_lib

            damage = cast("type[Exception]", igzip_lib.IsalError)  # the stub says: an instance
            return lambda: igzip_lib.IgzipDecompressor(igzip_lib.DECOMP_GZIP), damage
        case Compression.XZ:
            import lzma

            return lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ, _MEMORY), lzma.LZMAError
        case _:
            from drivers.archive import zstdcodec

            return zstdcodec.decoder, zstdcodec.Error


def _streams(
    chunks: Iterator[bytes],
    kind: Compression,
    new: Callable[[], _Decoder],
    damage: type[Exception],
) -> Iterator[bytes]:
    """Decode streams that follow each other, those of xz with padding between them."""
    padding = b"\0" if kind is Compression.XZ else b""
    decoder = new()
    for data in _slices(chunks):
        rest = data.lstrip(padding) if decoder.eof else data
        while rest or not (decoder.eof or decoder.needs_input):
            if decoder.eof:
                decoder = new()
            try:
                plain = decoder.decompress(rest, max_length=_OUT)
            except damage as error:
                raise ArchiveError(f"the {kind.name.lower()} data is damaged: {error}") from None
            if plain:
                yield plain
            rest = decoder.unused_data.lstrip(padding) if decoder.eof else b""
    if not decoder.eof:
        raise ArchiveError(f"unexpected EOF: the {kind.name.lower()} data ends too early")


def _slices(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Small ones: a decoder copies what it leaves of one."""
    for chunk in chunks:
        for start in range(0, len(chunk), _IN):
            yield chunk[start : start + _IN]


def _encoded(chunks: Iterator[bytes], encoder: Encoder) -> Iterator[bytes]:
    for chunk in chunks:
        if done := encoder.compress(chunk):
            yield done
    yield encoder.flush()
