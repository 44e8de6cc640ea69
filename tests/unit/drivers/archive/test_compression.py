"""Compressions of layers: known by their first bytes, undone in small pieces, never trusted."""

import bz2
import gzip
import lzma
import random
import subprocess
import time
import tracemalloc
import zlib
from collections.abc import Callable, Iterator

import pytest

from drivers.archive import zstdcodec
from drivers.archive.compression import Compression, compressed, decompressed, detect
from drivers.errors import ArchiveError, UnsupportedCompressionError

DATA = random.Random(1).randbytes(90_000) + b"tar" * 9_000
SKIPPABLE = b"\x5a\x2a\x4d\x18" + (5).to_bytes(4, "little") + b"hello"


def zstd(data: bytes, **options: int) -> bytes:
    levels: dict[int, int] = {zstdcodec.CompressionParameter.checksum_flag: 1}
    levels |= {getattr(zstdcodec.CompressionParameter, key): val for key, val in options.items()}
    encoder = zstdcodec.ZstdCompressor(options=levels)
    return encoder.compress(data) + encoder.flush()


ENCODERS: dict[Compression, Callable[[bytes], bytes]] = {
    Compression.NONE: bytes,
    Compression.BZIP2: bz2.compress,
    Compression.GZIP: gzip.compress,
    Compression.XZ: lzma.compress,
    Compression.ZSTD: zstd,
}
PACKED = [kind for kind in Compression if kind is not Compression.NONE]


def cut(data: bytes, size: int = 70_001) -> Iterator[bytes]:
    return (data[start : start + size] for start in range(0, len(data), size))


def plain(data: bytes, kind: Compression, size: int = 70_001) -> bytes:
    return b"".join(decompressed(cut(data, size), kind))


def test_the_numbers_are_those_of_layer_records() -> None:
    assert [(kind.name, int(kind)) for kind in Compression] == [
        ("NONE", 0),
        ("BZIP2", 1),
        ("GZIP", 2),
        ("XZ", 3),
        ("ZSTD", 4),
    ]


@pytest.mark.parametrize("kind", Compression)
def test_each_compression_is_known_by_its_first_bytes_and_undone(kind: Compression) -> None:
    data = ENCODERS[kind](DATA)
    assert detect(data[:10]) is kind
    assert plain(data, kind) == DATA


@pytest.mark.parametrize(
    "head",
    [b"", b"BZ", b"BZhang.txt", b"BZh9.tar.bz", b"BZh01AY&SY", b"\x1f\x8b", b"\xfd7zXZ", b"(\xb5/"],
)
def test_what_begins_like_no_compression_is_plain(head: bytes) -> None:
    assert detect(head) is Compression.NONE


def test_nothing_compressed_with_bzip2_is_known_too() -> None:
    assert detect(bz2.compress(b"")) is Compression.BZIP2


@pytest.mark.parametrize("kind", PACKED)
def test_streams_that_follow_each_other_are_one(kind: Compression) -> None:
    encode = ENCODERS[kind]
    data = encode(b"first") + encode(b"") + encode(DATA)
    assert plain(data, kind) == b"first" + DATA
    assert plain(encode(b"first") + encode(b"second"), kind, 1) == b"firstsecond"


@pytest.mark.parametrize("kind", PACKED)
def test_a_stream_that_is_cut_anywhere_is_an_unexpected_end(kind: Compression) -> None:
    data = ENCODERS[kind](b"some words, " * 9)
    for length in range(len(data)):
        with pytest.raises(ArchiveError, match="unexpected EOF"):
            plain(data[:length], kind)


@pytest.mark.parametrize("kind", PACKED)
def test_a_changed_byte_is_found(kind: Compression) -> None:
    data = bytearray(ENCODERS[kind](DATA))
    data[len(data) // 2] ^= 0x10
    with pytest.raises(ArchiveError, match=f"the {kind.name.lower()} data is damaged"):
        plain(bytes(data), kind)


@pytest.mark.parametrize("kind", PACKED)
def test_rubbish_behind_a_stream_is_refused(kind: Compression) -> None:
    with pytest.raises(ArchiveError):
        plain(ENCODERS[kind](DATA) + b"rubbish that is longer than any header of a stream", kind)


def test_xz_streams_may_be_padded() -> None:
    stream = lzma.compress(b"words")
    for size in (1, 3, 1 << 16):
        padded = stream + bytes(8) + stream + bytes(4)
        assert plain(padded, Compression.XZ, size) == b"wordswords"


def test_skippable_frames_of_zstd_are_skipped() -> None:
    data = zstd(b"one ") + SKIPPABLE + zstd(b"two") + SKIPPABLE
    for size in (1, 7, 1 << 16):
        assert plain(data, Compression.ZSTD, size) == b"one two"


def test_a_zstd_window_of_a_gigabyte_is_refused() -> None:
    huge = b"\x28\xb5\x2f\xfd" + bytes([0, (30 - 10) << 3]) + b"\x01\x00\x00"
    with pytest.raises(ArchiveError, match="zstd data is damaged"):
        plain(huge, Compression.ZSTD)


def test_an_xz_dictionary_of_a_gigabyte_is_refused() -> None:
    assert plain(xz_with_dictionary(1 << 20), Compression.XZ) == b"x"
    with pytest.raises(ArchiveError, match=r"Memory usage limit"):
        plain(xz_with_dictionary(1 << 30), Compression.XZ)


def xz_with_dictionary(size: int) -> bytes:
    """A stream whose block claims a dictionary of *size*, a power of two."""
    stream = bytearray(lzma.compress(b"x", filters=[{"id": lzma.FILTER_LZMA2, "dict_size": 4096}]))
    length = (stream[12] + 1) * 4
    block = stream[12 : 12 + length]
    properties = block.index(b"\x21\x01") + 2
    block[properties] = 2 * (size.bit_length() - 1 - 12)
    block[-4:] = zlib.crc32(block[:-4]).to_bytes(4, "little")
    stream[12 : 12 + length] = block
    return bytes(stream)


@pytest.mark.parametrize("kind", PACKED)
def test_a_bomb_comes_out_in_small_pieces(kind: Compression) -> None:
    size = 24 << 20
    bomb = ENCODERS[kind](bytes(size))
    tracemalloc.start()
    try:
        total = largest = 0
        for piece in decompressed(iter([bomb]), kind):
            total += len(piece)
            largest = max(largest, len(piece))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert total == size
    assert largest <= 1 << 20
    assert peak < 16 << 20


def test_nine_thousand_empty_streams_cost_no_time() -> None:
    data = gzip.compress(b"") * 9_000
    start = time.monotonic()
    assert plain(data, Compression.GZIP, 1 << 20) == b""
    assert time.monotonic() - start < 3


@pytest.mark.parametrize("kind", PACKED)
def test_a_source_that_cannot_be_read_is_not_called_damaged(kind: Compression) -> None:
    def broken() -> Iterator[bytes]:
        yield ENCODERS[kind](DATA)[:50]
        raise OSError(5, "Input/output error")

    with pytest.raises(OSError, match="Input/output"):
        b"".join(decompressed(broken(), kind))


@pytest.mark.parametrize(
    ("kind", "program"),
    [(Compression.NONE, "cat"), (Compression.GZIP, "gzip"), (Compression.ZSTD, "zstd")],
)
def test_what_is_compressed_is_read_by_the_program_of_that_name(
    kind: Compression, program: str
) -> None:
    data = b"".join(compressed(cut(DATA), kind))
    command = [program] if program == "cat" else [program, "-dc"]
    done = subprocess.run(command, input=data, capture_output=True, check=True, timeout=20)
    assert done.stdout == DATA
    assert data == b"".join(compressed(cut(DATA), kind))


@pytest.mark.parametrize("kind", [Compression.BZIP2, Compression.XZ])
def test_bzip2_and_xz_are_not_written(kind: Compression) -> None:
    with pytest.raises(UnsupportedCompressionError, match=kind.name.lower()):
        compressed(iter([]), kind)
