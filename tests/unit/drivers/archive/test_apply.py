"""One pass over an archive gives digests, sizes, owners, tar-split and every entry."""

import gzip
import hashlib
import io
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from drivers.archive.apply import Applied, EntrySink, apply
from drivers.archive.compression import Compression
from drivers.archive.entry import Entry
from drivers.errors import ArchiveError
from tests.support.layertars import PACKED
from tests.support.tars import END, Recorder, extended, file, header, record

BIG = os.urandom(2_500_000)
LAYER = (
    header(name=b"dir/", type=b"5", uid=7, gid=8)
    + file(b"dir/big", BIG, uid=1000)
    + extended(record(b"uid", b"4294967294"))
    + file(b"dir/empty")
    + header(name=b"dir/link", type=b"1", linkname=b"dir/big", gid=9)
    + file(b"dir/.wh.gone", uid=55, gid=55)
    + header(name=b".wh.all/", type=b"5", uid=56, gid=56)
    + END
    + bytes(5000)
)


def applied(data: bytes, sink: EntrySink | None = None, **known: str | int) -> Applied:
    return apply(io.BytesIO(data), sink or Recorder(), io.BytesIO(), **known)


def sha256(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def workers() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name == "archive worker"]


@pytest.mark.parametrize("kind", Compression)
def test_all_is_known_of_a_layer_after_one_pass(kind: Compression) -> None:
    data, sink = PACKED[kind](LAYER), Recorder()
    assert applied(data, sink) == Applied(
        compressed_digest=sha256(data),
        compressed_size=len(data),
        diff_digest=sha256(LAYER),
        diff_size=len(LAYER),
        compression=kind,
        uids=(0, 7, 1000, 2**32 - 2),
        gids=(0, 8, 9),
    )
    assert sink.finished
    assert [entry.name for entry in sink.entries] == [
        b"dir/",
        b"dir/big",
        b"dir/empty",
        b"dir/link",
        b"dir/.wh.gone",
        b".wh.all/",
    ]
    assert sink.contents[b"dir/big"] == BIG
    assert workers() == []


def test_no_bytes_are_an_empty_layer() -> None:
    sink, tar_split = Recorder(), io.BytesIO()
    known = apply(io.BytesIO(), sink, tar_split)
    assert known == Applied(sha256(b""), 0, sha256(b""), 0, Compression.NONE, (), ())
    assert sink.finished
    assert gzip.decompress(tar_split.getvalue()) == b'{"type":2,"payload":"","position":0}\n'


def test_the_tar_split_is_one_gzip_stream_without_name_and_time() -> None:
    tar_split = io.BytesIO()
    apply(io.BytesIO(LAYER), Recorder(), tar_split)
    assert tar_split.getvalue()[:8] == b"\x1f\x8b\x08\0\0\0\0\0"
    lines = gzip.decompress(tar_split.getvalue()).splitlines()
    assert len(lines) == 2 * 6 + 3
    again = io.BytesIO()
    apply(io.BytesIO(LAYER), Recorder(), again)
    assert again.getvalue() == tar_split.getvalue()


class Trickle(io.RawIOBase):
    """A pipe that never has more than a few bytes."""

    def __init__(self, data: bytes) -> None:
        self._data = io.BytesIO(data)

    def read(self, size: int = -1) -> bytes:
        return self._data.read(min(size, 1 + self._data.tell() * 3))


def test_the_compression_is_known_even_if_the_first_bytes_come_one_by_one() -> None:
    data = gzip.compress(LAYER)
    known = apply(Trickle(data), Recorder(), io.BytesIO())
    assert (known.compression, known.diff_digest) == (Compression.GZIP, sha256(LAYER))


def test_what_is_known_already_is_believed() -> None:
    packed = gzip.compress(LAYER)
    one, other = "sha256:" + "1" * 64, "sha256:" + "2" * 64
    known = applied(packed, compressed_digest=one, compressed_size=77, diff_digest=other)
    assert known[:4] == (one, 77, other, len(LAYER))
    assert applied(packed, compressed_digest=one)[:3] == (one, len(packed), sha256(LAYER))
    assert applied(packed, compressed_size=77)[:2] == (sha256(packed), len(packed))
    assert applied(LAYER, compressed_digest=one)[:3] == (one, len(LAYER), one)
    assert applied(LAYER, diff_digest=other)[:3] == (sha256(LAYER), len(LAYER), other)


def test_a_digest_of_another_algorithm_is_not_taken() -> None:
    packed = gzip.compress(LAYER)
    known = applied(packed, compressed_digest="sha512:" + "1" * 128, diff_digest="md5:1")
    assert (known.compressed_digest, known.diff_digest) == (sha256(packed), sha256(LAYER))


def test_global_headers_are_for_the_tar_split_only() -> None:
    data = extended(record(b"comment", b"x"), type=b"g") + file(b"f", uid=5, gid=6) + END
    sink = Recorder()
    known = applied(data, sink)
    assert [entry.name for entry in sink.entries] == [b"f"]
    assert (known.uids, known.gids) == ((0, 5), (0, 6))


def test_a_path_that_comes_twice_is_refused_before_it_reaches_the_sink() -> None:
    sink = Recorder()
    with pytest.raises(ArchiveError, match=r"'\./a//': duplicates of file paths not supported"):
        applied(file(b"a") + header(name=b"./a//", type=b"5") + END, sink)
    assert [entry.name for entry in sink.entries] == [b"a"]


class Reading:
    """A sink that reads one piece of each file."""

    def __init__(self) -> None:
        self.read = 0

    def add(self, entry: Entry, payload: Iterator[memoryview]) -> None:
        self.read += len(next(payload, b""))

    def finish(self) -> None:
        pass


def test_what_the_sink_does_not_read_counts_nevertheless() -> None:
    sink, tar_split, other = Reading(), io.BytesIO(), io.BytesIO()
    known = apply(io.BytesIO(LAYER), sink, tar_split)
    assert 0 < sink.read < len(BIG)
    assert known == apply(io.BytesIO(LAYER), Recorder(), other)
    assert tar_split.getvalue() == other.getvalue()


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (LAYER[:2_000_000], "unexpected EOF"),
        (gzip.compress(LAYER)[:100_000], "unexpected EOF"),
        (gzip.compress(LAYER)[:-1], "unexpected EOF"),
        (gzip.compress(LAYER)[:-8] + bytes(8), "damaged"),
        (b"this is no archive" * 99, "invalid tar header"),
        (gzip.compress(gzip.compress(LAYER)), "invalid tar header"),
    ],
)
def test_a_damaged_archive_is_never_finished(data: bytes, words: str) -> None:
    sink = Recorder()
    with pytest.raises(ArchiveError, match=words):
        applied(data, sink)
    assert not sink.finished
    assert workers() == []


class Full:
    """A sink on a disk that is full."""

    def add(self, entry: Entry, payload: Iterator[memoryview]) -> None:
        raise OSError(28, "No space left on device")

    def finish(self) -> None:
        raise AssertionError


def test_what_the_sink_raises_ends_it_with_all_threads() -> None:
    with pytest.raises(OSError, match="No space left"):
        applied(gzip.compress(LAYER), Full())
    assert workers() == []


class FullFile(io.BytesIO):
    def write(self, data: object) -> int:
        raise OSError(28, "No space left on device")


def test_a_tar_split_that_cannot_be_written_is_an_error() -> None:
    sink = Recorder()
    with pytest.raises(OSError, match="No space left"):
        apply(io.BytesIO(file(b"f") + END), sink, FullFile())
    assert not sink.finished
    assert workers() == []


def zeros_behind_the_end(size: int) -> Iterator[bytes]:
    yield file(b"f", b"x") + END
    for _ in range(size >> 20):
        yield bytes(1 << 20)


def one_long_file(size: int) -> Iterator[bytes]:
    yield header(name=b"zeros", size=size)
    for _ in range(size >> 20):
        yield bytes(1 << 20)


def gzip_bomb(size: int) -> bytes:
    out = io.BytesIO()
    with gzip.GzipFile(fileobj=out, mode="wb", compresslevel=1) as packed:
        for chunk in one_long_file(size):
            packed.write(chunk)
    return out.getvalue()


MEASURE = """
import io, resource, sys
sys.path[:] = {path!r}
from drivers.archive.apply import apply
from tests.support.tars import Recorder

class Skipping(Recorder):
    def add(self, entry, payload):
        pass

class Null(io.RawIOBase):
    def write(self, data):
        return len(data)

before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
apply(sys.stdin.buffer, Skipping(), Null())
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before, before)
"""


@pytest.mark.parametrize(
    "stream",
    [
        lambda: zeros_behind_the_end(256 << 20),
        lambda: one_long_file(256 << 20),
        lambda: iter([gzip_bomb(256 << 20)]),
    ],
    ids=["zeros behind the end", "one long file", "gzip bomb"],
)
def test_memory_does_not_grow_with_the_stream(stream: Callable[[], Iterator[bytes]]) -> None:
    root = str(Path(__file__).parents[4])
    script = MEASURE.format(path=[root, *sys.path])
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        assert child.stdin
        assert child.stdout
        for chunk in stream():
            child.stdin.write(chunk)
        child.stdin.close()
        grown, before = map(int, child.stdout.read().split())
    assert child.returncode == 0
    assert grown < 40_000, f"{grown} KiB more than the {before} KiB of an idle process"
