"""The scanner sees the entries that Go's reader sees, keeps every byte, and refuses the rest."""

import contextlib
import tarfile
import time
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.archive import scanner
from drivers.archive.entry import Entry
from drivers.errors import ArchiveError
from tests.support import tars
from tests.support.tars import END, GNU, V7, extended, file, header, record

NAMES = st.text(st.characters(codec="utf-8", exclude_characters="\0/"), min_size=1, max_size=150)
MEMBERS = st.lists(
    st.tuples(
        NAMES,
        st.none() | st.binary(max_size=1500),
        st.fixed_dictionaries(
            {
                "mode": st.integers(0, 0o7777),
                "uid": st.integers(0, 2**32 - 2),
                "gid": st.integers(0, 2**21 - 1),
                "mtime": st.integers(0, 2**33 - 1),
            }
        ),
    ),
    max_size=5,
)


def cut(data: bytes, size: int) -> Iterator[bytes]:
    return (data[start : start + size] for start in range(0, len(data), size))


def scanned(data: bytes, size: int = 1 << 20) -> list[tuple[Entry, bytes]]:
    """Each entry with its content; every byte must have come by."""
    found: list[tuple[Entry, bytes]] = []
    seen = b""
    for frame, entry, _, payload in scanner.scan(cut(data, size)):
        content = b"".join(payload) if entry else b""
        seen += frame + content
        if entry is not None:
            found.append((entry, content))
    assert seen == data
    return found


def entries(data: bytes) -> list[Entry]:
    return [entry for entry, _ in scanned(data)]


def refusal(data: bytes) -> str:
    with pytest.raises(ArchiveError) as caught:
        scanned(data)
    return str(caught.value)


@settings(deadline=None, max_examples=60)
@given(
    st.sampled_from([tarfile.GNU_FORMAT, tarfile.PAX_FORMAT]),
    MEMBERS,
    st.sampled_from([1 << 20, 512, 700, 10_240]),
)
def test_what_tarfile_writes_is_read_back(
    form: int, members: list[tuple[str, bytes | None, dict[str, int]]], size: int
) -> None:
    found = scanned(tars.archive(form, *members), size)
    assert [
        (
            entry.name.decode("utf-8", "surrogateescape").rstrip("/"),
            None if entry.type == b"5" else content,
            {
                "mode": entry.mode,
                "uid": entry.uid,
                "gid": entry.gid,
                "mtime": entry.mtime_ns // 1_000_000_000,
            },
        )
        for entry, content in found
    ] == members


@pytest.mark.parametrize("size", [1, 511, 512, 513, 4096])
def test_chunks_of_any_size_make_no_difference(size: int) -> None:
    data = extended(record(b"path", b"long")) + file(b"x", b"a" * 1300) + file(b"y") + END
    assert scanned(data, size) == scanned(data)
    assert [(e.name, content) for e, content in scanned(data)] == [
        (b"long", b"a" * 1300),
        (b"y", b""),
    ]


def test_what_a_reader_leaves_of_a_file_is_skipped() -> None:
    data = file(b"x", b"a" * 5000) + file(b"y", b"b") + END
    names = [member.entry.name for member in scanner.scan(cut(data, 600)) if member.entry]
    assert names == [b"x", b"y"]


def test_every_kind_of_entry_is_told_from_the_others() -> None:
    kinds = [
        entry.type
        for entry in entries(
            file(b"a", b"x", type=b"\0")
            + header(name=b"b/", type=b"\0", magic=V7)
            + file(b"c", b"x", type=b"7")
            + file(b"d/", b"x")
            + b"".join(header(type=b"%d" % kind) for kind in range(1, 7))
            + END
        )
    ]
    assert kinds == [b"0", b"5", b"0", b"0", b"1", b"2", b"3", b"4", b"5", b"6"]


def test_the_oldest_format_has_no_devices_and_no_prefix() -> None:
    [entry] = entries(header(magic=V7, major=b"zzzz", prefix=b"nowhere") + END)
    assert (entry.name, entry.device) == (b"f", (0, 0))


def test_ustar_names_are_put_together() -> None:
    [entry] = entries(header(name=b"n" * 100, prefix=b"p" * 155, major=1, minor=3) + END)
    assert entry.name == b"p" * 155 + b"/" + b"n" * 100
    assert entry.device == (1, 3)


def test_star_headers_have_a_short_prefix_and_an_access_time() -> None:
    prefix = b"p".ljust(131, b"\0") + b"00000000017\0"
    [entry] = entries(header(prefix=prefix, trailer=b"tar\0") + END)
    assert (entry.name, entry.atime_ns) == (b"p/f", 15_000_000_000)


def test_gnu_headers_have_an_access_time_where_old_go_wrote_a_prefix() -> None:
    with_time = header(magic=GNU, prefix=b"00000000017\x0000000000020\0")
    old_go = header(name=b"g", magic=GNU, prefix=b"some/where")
    first, second = entries(with_time + old_go + END)
    assert (first.name, first.atime_ns) == (b"f", 15_000_000_000)
    assert (second.name, second.atime_ns) == (b"some/where/g", None)


def test_gnu_long_names_and_targets_apply_to_the_next_entry_only() -> None:
    name, target = b"n" * 300, b"t" * 200
    long = file(b"././@LongLink", name + b"\0", type=b"L", magic=GNU)
    link = file(b"././@LongLink", target + b"\0", type=b"K", magic=GNU)
    data = long + link + header(name=b"short", type=b"2", linkname=b"x") + file(b"next") + END
    first, second = entries(data)
    assert (first.name, first.linkname) == (name, target)
    assert (second.name, second.linkname) == (b"next", b"")


def test_names_that_are_not_utf8_stay_bytes() -> None:
    [entry] = entries(file(b"\xff\xfe\x80") + END)
    assert entry.name == b"\xff\xfe\x80"


def test_records_go_before_fields_and_empty_ones_do_not_count() -> None:
    records = {
        b"path": b"dir/\xc3\xbc",
        b"linkpath": b"",
        b"uid": b"3000000",
        b"gid": b"4294967294",
        b"mtime": b"-1.25",
        b"atime": b"17.0000000019",
        b"size": b"3",
        b"SCHILY.xattr.user.a": b"x=\0y\n",
        b"comment": b"none",
    }
    data = extended(*(record(key, value) for key, value in records.items()))
    data += header(name=b"no", linkname=b"kept", size=0) + tars.padded(b"abc") + END
    [(entry, content)] = scanned(data)
    assert entry == Entry(
        b"dir/\xc3\xbc", b"0", b"kept", 3, 0o644, 3_000_000, 2**32 - 2, -1_250_000_000,
        17_000_000_001, (0, 0), {b"user.a": b"x=\0y\n"},
    )  # fmt: skip
    assert content == b"abc"


def test_the_last_extended_header_counts_alone() -> None:
    data = extended(record(b"path", b"a"), record(b"uid", b"5")) + extended(record(b"gid", b"6"))
    [entry] = entries(data + file(b"f") + END)
    assert (entry.name, entry.uid, entry.gid) == (b"f", 0, 6)


def test_global_headers_are_entries_that_change_nothing() -> None:
    data = extended(record(b"path", b"evil"), record(b"uid", b"5"), type=b"g") + file(b"f", b"x")
    first, second = entries(data + END)
    assert first == Entry(b"evil", scanner.GLOBAL)
    assert (second.name, second.size, second.uid) == (b"f", 1, 0)
    assert "no number" in refusal(extended(record(b"uid", b"x"), type=b"g") + END)


def test_numbers_may_be_base_256_and_times_negative() -> None:
    number = b"\x80" + (2**33).to_bytes(11, "big")
    data = header(size=b"\x80" + (2).to_bytes(11, "big"), mtime=b"\xff" * 12) + tars.padded(b"ab")
    data += header(uid=b"\x80" + (70_000).to_bytes(7, "big"), mtime=number)
    first, second = entries(data + END)
    assert (first.size, first.mtime_ns) == (2, -1_000_000_000)
    assert (second.uid, second.mtime_ns) == (70_000, 2**33 * 1_000_000_000)


def test_numbers_are_padded_in_every_way_that_is_seen() -> None:
    data = header(mode=b"   644 \0", uid=b"\0" * 8, gid=b"  12\0zz\0", mtime=b" " * 12)
    [entry] = entries(data + END)
    assert (entry.mode, entry.uid, entry.gid, entry.mtime_ns) == (0o644, 0, 0o12, 0)


def test_a_checksum_of_signed_bytes_is_accepted() -> None:
    block = bytearray(header(name=b"\xfc\xfc"))
    signed = sum(block[:148]) + sum(block[156:]) + 8 * 0x20 - 512
    block[148:156] = b"%06o\0 " % signed
    assert entries(bytes(block) + END)[0].name == b"\xfc\xfc"


def test_links_and_directories_have_no_content_whatever_their_size_says() -> None:
    found = entries(header(type=b"1", size=700) + header(type=b"5", size=700) + END)
    assert [entry.size for entry in found] == [0, 0]
    members = list(scanner.scan(iter([header(type=b"1", size=700) + END])))
    assert members[0].recorded_size == 700


@pytest.mark.parametrize(
    "end", [b"", bytes(512), END, END + bytes(9216), END + b"anything at all" * 99]
)
def test_an_archive_ends_with_zeros_or_just_ends(end: bytes) -> None:
    assert len(entries(file(b"f", b"x" * 512) + end)) == 1


@pytest.mark.parametrize("missing", [1, 400, 511])
def test_padding_that_is_cut_off_at_the_end_is_no_damage(missing: int) -> None:
    assert len(entries(file(b"f", b"x")[:-missing])) == 1


def test_no_bytes_are_no_entries() -> None:
    assert entries(b"") == []


@pytest.mark.parametrize("length", [1, 511, 513, 600, 1025, 1536, 1900])
def test_an_archive_that_is_cut_is_an_unexpected_end(length: int) -> None:
    data = extended(record(b"path", b"long")) + file(b"f", b"x" * 900)
    assert "unexpected EOF" in refusal(data[:length])


def test_zeros_and_then_more_are_damage() -> None:
    assert "invalid tar header" in refusal(file(b"f") + bytes(512) + file(b"g") + END)
    assert "unexpected EOF" in refusal(file(b"f") + bytes(600))


def test_what_is_no_archive_is_refused_with_a_remedy() -> None:
    with pytest.raises(ArchiveError, match="invalid tar header at byte 0") as caught:
        scanned(b"<!DOCTYPE html>" * 99)
    assert "tar archive" in caught.value.remedy


@pytest.mark.parametrize(
    "fields",
    [
        {"size": b"\xff" * 12},
        {"size": b"\x80" + b"\xff" * 11},
        {"size": b"12z"},
        {"size": b"-1"},
        {"size": b"8"},
        {"size": b"1_0"},
        {"size": b"0x1"},
        {"mode": b"\xff" * 8},
        {"uid": b"\xff" * 8},
        {"gid": b"\x80\0\0\0\xff\xff\xff\xff"},
        {"gid": b"\x80\0\0\1\0\0\0\0"},
        {"major": b"\xff" * 8, "type": b"3"},
        {"mtime": b"\xbf" + b"\xff" * 11},
    ],
)
def test_numbers_that_make_no_sense_are_refused(fields: dict[str, bytes]) -> None:
    refusal(header(**fields) + END)


@pytest.mark.parametrize(
    "records",
    [
        b"x",
        b"7 a=b",
        b"8 a=b\n",
        b"5 ab\n",
        b"5 =b\n",
        b"4 a=\n",
        b"0 \n",
        b"99999999999999999999 a=b\n",
        b" 6 a=b\n",
        b"-6 a=b\n",
        record(b"path", b"a\0b"),
        record(b"k\0", b"v"),
        record(b"size", b"-1"),
        record(b"size", b" 1"),
        record(b"size", b"1_0"),
        record(b"size", b"9223372036854775808"),
        record(b"uid", b"-1"),
        record(b"uid", b"4294967295"),
        record(b"gid", b"4294967296"),
        record(b"uid", b"root"),
        record(b"mtime", b"1.5e3"),
        record(b"mtime", b".5"),
        record(b"mtime", b"1.-5"),
        record(b"ctime", b"x"),
        record(b"size", b"1" * 5000),
    ],
)
def test_records_that_make_no_sense_are_refused(records: bytes) -> None:
    refusal(extended(records) + file(b"f") + END)


@pytest.mark.parametrize("kind", [b"x", b"L", b"K"])
@pytest.mark.parametrize("rest", [b"", END, extended(type=b"g") + file(b"f") + END])
def test_extended_headers_that_no_entry_follows_are_refused(kind: bytes, rest: bytes) -> None:
    data = file(b"e", record(b"path", b"hidden"), type=kind)
    assert "follows an extended header" in refusal(data + rest)


@pytest.mark.parametrize(
    "data",
    [
        header(type=b"S", magic=GNU),
        extended(record(b"GNU.sparse.major", b"1"), record(b"GNU.sparse.minor", b"0")) + file(b"f"),
        extended(record(b"GNU.sparse.map", b"0,1"), record(b"GNU.sparse.numblocks", b"1"))
        + file(b"f"),
        extended(record(b"GNU.sparse.offset", b"0")) + file(b"f"),
    ],
)
def test_sparse_files_are_refused_with_a_remedy(data: bytes) -> None:
    with pytest.raises(ArchiveError, match=r"'f': sparse files .* not supported") as caught:
        scanned(data + END)
    assert "--sparse" in caught.value.remedy


def test_one_extended_header_may_be_a_mebibyte_and_no_more() -> None:
    value = b"v" * ((1 << 20) - 30)
    assert entries(extended(record(b"comment", value)) + file(b"f") + END)
    assert "too large" in refusal(extended(record(b"comment", value * 2)) + file(b"f") + END)


def test_endless_extended_headers_are_refused_early() -> None:
    taken = 0

    def endless() -> Iterator[bytes]:
        nonlocal taken
        while True:
            taken += 1
            yield extended(record(b"comment", b"x" * 900_000))

    with pytest.raises(ArchiveError, match="too many extended headers"):
        list(scanner.scan(endless()))
    assert taken < 10


def test_a_mebibyte_of_digits_and_blanks_is_refused_at_once() -> None:
    start = time.monotonic()
    for filling in (b"1", b" ", b"1 ", b"12 a=b\n"):
        data = filling * ((1 << 20) // len(filling))
        refusal(extended(data) + file(b"f") + END)
    assert time.monotonic() - start < 2


@settings(deadline=None, max_examples=150)
@given(st.data())
def test_changed_bytes_are_read_or_refused_but_never_break_it(data: st.DataObject) -> None:
    archive = bytearray(
        extended(record(b"path", b"p"), record(b"mtime", b"1.5"))
        + file(b"f", b"x" * 600)
        + file(b"././@LongLink", b"name\0", type=b"L", magic=GNU)
        + header(type=b"5")
        + END
    )
    for _ in range(data.draw(st.integers(1, 4))):
        archive[data.draw(st.integers(0, len(archive) - 1))] = data.draw(st.integers(0, 255))
    for start in (0, 1024, 2560, 3584):
        archive[start : start + 512] = tars.with_checksum(bytes(archive[start : start + 512]))
    with contextlib.suppress(ArchiveError):
        scanned(bytes(archive))
