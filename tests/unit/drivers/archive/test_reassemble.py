"""An archive comes back bit for bit, or not at all."""

import gzip
import io
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.archive.apply import apply
from drivers.archive.reassemble import reassemble
from drivers.errors import ArchiveError
from tests.support.tars import END, Recorder, extended, file, header, record

BIG = os.urandom(2_500_000)
NAMES = st.binary(min_size=1, max_size=80).filter(lambda name: not set(name) & set(b"\0/."))
ARCHIVE = (
    header(name=b"d/", type=b"5")
    + file(b"d/big", BIG)
    + extended(record(b"path", b"d/caf\xc3\xa9"))
    + file(b"x", b"word")
    + header(name=b"d/link", type=b"1", linkname=b"d/big", size=700)
    + file(b"\xff\xfe", b"no UTF-8")
    + extended(record(b"comment", b"hello"), type=b"g")
    + file(b"last")
    + END
    + b"more" * 2000
)


def taken_apart(data: bytes, place: Path) -> tuple[io.BytesIO, Callable[[bytes], int]]:
    """The tar-split of *data*, and what opens its files, which are now in *place*."""
    sink, tar_split = Recorder(), io.BytesIO()
    apply(io.BytesIO(data), sink, tar_split)
    numbers = {}
    for number, (name, content) in enumerate(sink.contents.items()):
        numbers[name] = str(place / str(number))
        (place / str(number)).write_bytes(content)
    tar_split.seek(0)
    return tar_split, lambda name: os.open(numbers[name], os.O_RDONLY | os.O_CLOEXEC)


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def test_an_archive_comes_back_bit_for_bit(tmp_path: Path) -> None:
    before = descriptors()
    pieces = list(reassemble(*taken_apart(ARCHIVE, tmp_path)))
    assert b"".join(pieces) == ARCHIVE
    assert len(pieces) < 8
    assert max(map(len, pieces)) <= 1 << 21
    assert descriptors() == before


@settings(deadline=None, max_examples=40)
@given(
    st.dictionaries(NAMES, st.binary(max_size=1200), max_size=6),
    st.binary(max_size=1500),
)
def test_whatever_was_applied_comes_back(
    tmp_path_factory: pytest.TempPathFactory, files: dict[bytes, bytes], tail: bytes
) -> None:
    data = b"".join(file(name, content) for name, content in files.items()) + END + tail
    parts = taken_apart(data, tmp_path_factory.mktemp("parts"))
    assert b"".join(reassemble(*parts)) == data


def test_padding_that_was_cut_off_is_not_invented(tmp_path: Path) -> None:
    data = file(b"f", b"x")[:-100]
    assert b"".join(reassemble(*taken_apart(data, tmp_path))) == data


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda path: path.write_bytes(BIG[:-1] + b"?"), "not what it was"),
        (lambda path: path.write_bytes(BIG[:-1]), "has 2499999 bytes"),
        (lambda path: path.write_bytes(BIG + b"x"), "has 2500001 bytes"),
        (lambda path: path.unlink(), "missing"),
        (lambda path: (path.unlink(), path.mkdir()), "no regular file"),
    ],
)
def test_a_file_that_was_changed_is_named(
    tmp_path: Path, change: Callable[[Path], object], words: str
) -> None:
    parts = taken_apart(ARCHIVE, tmp_path)
    change(tmp_path / "0")
    before = descriptors()
    with pytest.raises(ArchiveError, match=f"file integrity checksum failed: .*{words}") as caught:
        list(reassemble(*parts))
    assert caught.value.entry == b"d/big"
    assert "pull" in caught.value.remedy
    assert descriptors() == before


def test_no_descriptor_stays_open_if_the_reader_goes_away(tmp_path: Path) -> None:
    parts = taken_apart(ARCHIVE, tmp_path)
    before = descriptors()
    pieces = reassemble(*parts)
    next(pieces)
    pieces.close()
    assert descriptors() == before


@pytest.mark.parametrize(
    ("stored", "words"),
    [
        (b"", "unexpected EOF"),
        (gzip.compress(b'{"type":2,"payload":"QQ=="}')[:-4], "unexpected EOF"),
        (b"plain text", "damaged"),
        (gzip.compress(b"plain text"), "damaged"),
    ],
    ids=["nothing", "cut", "no gzip", "no JSON"],
)
def test_a_damaged_tar_split_is_refused(stored: bytes, words: str) -> None:
    with pytest.raises(ArchiveError, match=words):
        list(reassemble(io.BytesIO(stored), lambda name: -1))
