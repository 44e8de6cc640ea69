"""Headers of archives: another reader finds in them what was written, whatever it is."""

import io
import tarfile

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from drivers.archive import entry, packheader
from drivers.archive.entry import Entry
from drivers.errors import ArchiveError

LETTERS = bytes({*range(1, 256)} - {ord("/")})
PARTS = st.builds(
    lambda start, repeated, times: start + repeated * times,
    st.lists(st.sampled_from(LETTERS), min_size=1, max_size=5).map(bytes),
    st.sampled_from([b"n", b"\xc3\xa9", b"x y"]),
    st.integers(0, 110),
)
PATHS = st.lists(PARTS, min_size=1, max_size=4).map(b"/".join)
NUMBERS = st.sampled_from([0, 1, 0o7777777, 0o10000000, (1 << 32) - 2])
NAMES = st.sampled_from([b"", b"root", b"n" * 32, b"n" * 33, b"\xc3\xa9", b"\xff"])

ENTRIES = st.builds(
    Entry,
    name=PATHS,
    type=st.sampled_from([entry.REGULAR, entry.SYMLINK, entry.HARD_LINK, entry.FIFO, entry.BLOCK]),
    linkname=st.one_of(st.just(b""), PATHS),
    size=st.just(0),
    mode=st.integers(0, 0o7777),
    uid=NUMBERS,
    gid=NUMBERS,
    mtime_ns=st.integers(-(1 << 33), 1 << 34).map(lambda seconds: seconds * 10**9 + 999),
    device=st.tuples(st.integers(0, 0xFFF), st.integers(0, 0xFFFFF)),
    xattrs=st.dictionaries(
        st.sampled_from([b"user.a", b"user.b", b"user.B", b"user.\xc3\xa9", b"security.ima"]),
        st.builds(bytes.__mul__, st.sampled_from([b"v", b"\0", b"=\n"]), st.integers(1, 300)),
        max_size=3,
    ),
)


def read(blocks: bytes) -> tarfile.TarInfo:
    with tarfile.open(fileobj=io.BytesIO(blocks + packheader.END), errors="surrogateescape") as one:
        [member] = one.getmembers()
        return member


def encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(wanted=ENTRIES, uname=NAMES, gname=NAMES)
def test_a_reader_finds_what_was_written(wanted: Entry, uname: bytes, gname: bytes) -> None:
    blocks = packheader.encode(wanted, uname, gname)
    assert len(blocks) % packheader.BLOCK == 0
    found = read(blocks)
    assert (encoded(found.name), encoded(found.linkname)) == (wanted.name, wanted.linkname)
    assert (found.type, found.mode, found.size) == (wanted.type, wanted.mode, wanted.size)
    assert (found.uid, found.gid) == (wanted.uid, wanted.gid)
    assert (encoded(found.uname), encoded(found.gname)) == (uname, gname)
    assert found.mtime == wanted.mtime_ns // 10**9
    assert (found.devmajor, found.devminor) == wanted.device


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(wanted=ENTRIES)
def test_attributes_are_records_sorted_by_name(wanted: Entry) -> None:
    blocks = packheader.encode(wanted)
    positions = []
    for name, value in sorted(wanted.xattrs.items()):
        record = b" SCHILY.xattr.%b=%b\n" % (name, value)
        assert record in blocks
        positions.append(blocks.index(record))
    assert positions == sorted(positions)


def test_what_fits_an_old_header_has_no_other() -> None:
    plain = Entry(
        b"a" * 100, entry.SYMLINK, b"b" * 100, uid=0o7777777, mtime_ns=(8 << 30) * 10**9 - 1
    )
    divided = plain._replace(name=b"p" * 155 + b"/" + b"n" * 100)
    for header in (plain, divided):
        assert len(packheader.encode(header)) == packheader.BLOCK
    for longer in (divided.name + b"n", b"p" + divided.name, b"n" * 101):
        assert len(packheader.encode(plain._replace(name=longer))) == 3 * packheader.BLOCK


def test_a_header_that_no_reader_would_take_is_an_error() -> None:
    header = Entry(
        b"file", entry.REGULAR, xattrs={b"user.n%d" % n: bytes(65000) for n in range(17)}
    )
    with pytest.raises(ArchiveError, match="too long") as caught:
        packheader.encode(header)
    assert caught.value.remedy
