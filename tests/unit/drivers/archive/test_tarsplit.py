"""Tar-split lines as the Go tools write and read them."""

import tracemalloc
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.archive import tarsplit
from drivers.archive.entry import cleaned
from drivers.archive.tarsplit import File, Segment
from drivers.errors import ArchiveError

ENTRIES = st.lists(
    st.builds(Segment, st.binary(max_size=2000))
    | st.builds(File, st.binary(), st.integers(1, 2**63 - 1), st.integers(0, 2**64 - 1)),
    max_size=8,
    unique_by=lambda entry: cleaned(entry.name) if isinstance(entry, File) else object(),
)


def written(*entries: Segment | File) -> bytes:
    lines: list[bytes] = []
    writer = tarsplit.Writer(lines.append)
    for entry in entries:
        match entry:
            case Segment(payload):
                writer.segment(payload)
            case File(name, size, crc):
                writer.claim(name)
                writer.file(name, size, crc)
    writer.finish()
    return b"".join(lines)


def read(data: bytes, size: int = 1 << 20) -> list[Segment | File]:
    pieces = (data[start : start + size] for start in range(0, len(data), size))
    return list(tarsplit.read(pieces))


def test_the_lines_are_those_of_the_go_tools() -> None:
    hello = int.from_bytes(b"\x61\x4c\x3e\xee\xe2\xd8\x10\x00", "big")
    assert written(Segment(b"./"), File(b"./", 0, 0), File(b"./d/h", 6, hello)) == (
        b'{"type":2,"payload":"Li8=","position":0}\n'
        b'{"type":1,"name":"./","payload":null,"position":1}\n'
        b'{"type":1,"name":"./d/h","size":6,"payload":"YUw+7uLYEAA=","position":2}\n'
        b'{"type":2,"payload":"","position":3}\n'
    )


@pytest.mark.parametrize(
    ("name", "member"),
    [
        (b"", b""),
        (b"a", b'"name":"a",'),
        ("ü€😀".encode(), '"name":"ü€😀",'.encode()),
        (b"\xff", b'"name_raw":"/w==",'),
        (b"\xed\xa0\x80", b'"name_raw":"7aCA",'),
        (b'"\\', b'"name":"\\"\\\\",'),
        (b"<&>", b'"name":"\\u003c\\u0026\\u003e",'),
        (b"\n\r\t", b'"name":"\\n\\r\\t",'),
        (b"\b\f\x01\x1f\x7f", b'"name":"\\u0008\\u000c\\u0001\\u001f\x7f",'),
        ("\u2027\u2028\u2029".encode(), b'"name":"\xe2\x80\xa7\\u2028\\u2029",'),
    ],
)
def test_names_are_spelt_as_go_spells_them(name: bytes, member: bytes) -> None:
    line = written(File(name, 0, 0)).splitlines()[0]
    assert line == b'{"type":1,%b"payload":null,"position":0}' % member
    assert read(line) == [File(name, 0, 0)]


@given(ENTRIES)
def test_what_is_written_is_read_back(entries: list[Segment | File]) -> None:
    assert read(written(*entries)) == [*entries, Segment(b"")]
    assert read(written(*entries), 7) == [*entries, Segment(b"")]


def test_any_white_space_may_stand_between_values_and_positions_do_not_count() -> None:
    data = b' {"type":2,"payload":"QQ==","position":9}\t\r\n\n{"payload":null,"type":2}{"type":1,'
    data += b'"name":"f","size":1,"payload":"AAAAAAAAAAE=","position":-1}  '
    assert read(data) == [Segment(b"A"), Segment(b""), File(b"f", 1, 1)]


@pytest.mark.parametrize("second", [b"a/b", b"a//b", b"./a/b/", b"a/c/../b", b"../a/b"])
def test_a_cleaned_path_may_be_claimed_once(second: bytes) -> None:
    writer = tarsplit.Writer(lambda _: None)
    writer.claim(b"a/b")
    if second == b"../a/b":
        writer.claim(second)
    else:
        with pytest.raises(ArchiveError, match="duplicates of file paths not supported"):
            writer.claim(second)


def test_a_file_with_two_entries_of_one_path_is_refused() -> None:
    line = b'{"type":1,"name":"f","payload":null,"position":0}\n'
    with pytest.raises(ArchiveError, match="duplicates of file paths not supported"):
        read(line + line)


@pytest.mark.parametrize(
    ("name", "clean"),
    [
        (b"", b"."),
        (b"./", b"."),
        (b"/", b"/"),
        (b"//a", b"/a"),
        (b"///a", b"/a"),
        (b"/../a", b"/a"),
        (b"../a", b"../a"),
        (b"a/../..", b".."),
        (b"a/./b//c/", b"a/b/c"),
        (b"\xff/.", b"\xff"),
    ],
)
def test_paths_are_cleaned_as_go_cleans_them(name: bytes, clean: bytes) -> None:
    assert cleaned(name) == clean


def test_long_names_take_no_more_memory_than_short_ones() -> None:
    tracemalloc.start()
    try:
        writer = tarsplit.Writer(lambda _: None)
        for number in range(100):
            writer.claim(b"%d" % number + b"x" * 500_000)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 5 << 20


@pytest.mark.parametrize(
    "data",
    [
        b"x",
        b"{",
        b"[]",
        b"7",
        b"null",
        b"{}",
        b'{"type":3}',
        b'{"type":2}',
        b'{"type":2,"payload":"x"}',
        b'{"type":2,"payload":"QQ==',
        b'{"type":2,"payload":"Q Q=="}',
        b'{"type":2,"payload":7}',
        b'{"type":1,"name":7,"payload":null}',
        b'{"type":1,"name":"f","size":-1,"payload":null}',
        b'{"type":1,"name":"f","size":1.5,"payload":null}',
        b'{"type":1,"name":"f","size":"1","payload":null}',
        b'{"type":1,"name":"f","size":1,"payload":7}',
        b'{"type":1,"name":"\\ud800","payload":null}',
        b'{"type":2,"payload":"\xff"}',
        b"[" * 100_000,
        b"\0" * 100,
    ],
)
def test_a_damaged_file_is_refused(data: bytes) -> None:
    with pytest.raises(ArchiveError, match="tar-split file is damaged"):
        read(data)


def test_a_value_without_end_is_refused_in_bounded_memory() -> None:
    taken = 0

    def endless() -> Iterator[bytes]:
        nonlocal taken
        yield b'{"type":2,"payload":"'
        while True:
            taken += 1
            yield b"A" * (4 << 20)

    with pytest.raises(ArchiveError, match="too large"):
        list(tarsplit.read(endless()))
    assert taken < 20
