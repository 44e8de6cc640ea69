"""The header of one entry as bytes, exactly as Go's archive/tar writes it (pure).

Used by: drivers.archive.pack. Knows nothing of: files, layers.

Source: store-format 9.2. The oldest format that can hold an entry is taken: USTAR, else USTAR
after an extended (PAX) header. Everything that these two hold in text is ASCII, so that a sum of
bytes stays below what adler32 counts by.
"""

import zlib
from functools import lru_cache
from typing import Final, NamedTuple

from drivers.archive.entry import Entry
from drivers.errors import ArchiveError

BLOCK: Final = 512
END: Final = bytes(2 * BLOCK)

_NAME: Final = 100
_PREFIX: Final = 155
_OWNER: Final = 32
_LARGEST_ID: Final = 0o7777777
_LARGEST_NUMBER: Final = 0o77777777777
_LARGEST_EXTENSION: Final = 1 << 20  # what Go's reader takes
_MAGIC: Final = b"ustar\x0000"
_LAST: Final = BLOCK - 345
_SECOND: Final = 10**9
_EXTENSION: Final = b"PaxHeaders.0"
_NOT_ASCII: Final = bytes(range(0x80, 0x100))


def encode(entry: Entry, uname: bytes = b"", gname: bytes = b"") -> bytes:
    """Return the blocks that precede the payload of *entry*; names are those of its owner.

    Raises ArchiveError for an attribute that no header can hold. Times lose what is below a second.
    """
    name, link, mtime = entry.name, entry.linkname, entry.mtime_ns // _SECOND
    if (
        len(name) <= _NAME
        and len(link) <= _NAME
        and len(uname) <= _OWNER
        and len(gname) <= _OWNER
        and not entry.xattrs
        and 0 <= mtime <= _LARGEST_NUMBER
        and entry.uid <= _LARGEST_ID
        and entry.gid <= _LARGEST_ID
        and entry.size <= _LARGEST_NUMBER
        and name.isascii()
        and link.isascii()
        and uname.isascii()
        and gname.isascii()
    ):
        return _block(entry, name, _rest(uname, gname, entry.device, b""))
    records = _records(entry, uname, gname)
    if not records:
        prefix, name = _split(name) or (b"", name)
        return _block(entry, name, _rest(uname, gname, entry.device, prefix))
    return _extension(name, records) + _main_block(entry, uname, gname)


def padding(size: int) -> bytes:
    """Return what fills the last block of a payload of *size* bytes."""
    return bytes(-size % BLOCK)


def _records(entry: Entry, uname: bytes, gname: bytes) -> dict[bytes, bytes]:
    """Return the records that *entry* needs; none if a USTAR header holds all of it."""
    texts = (
        (b"path", entry.name, _NAME),
        (b"linkpath", entry.linkname, _NAME),
        (b"uname", uname, _OWNER),
        (b"gname", gname, _OWNER),
    )
    records = {key: text for key, text, room in texts if len(text) > room or not text.isascii()}
    for key, number, largest in (
        (b"uid", entry.uid, _LARGEST_ID),
        (b"gid", entry.gid, _LARGEST_ID),
        (b"size", entry.size, _LARGEST_NUMBER),
        (b"mtime", entry.mtime_ns // _SECOND, _LARGEST_NUMBER),
    ):
        if not 0 <= number <= largest:
            records[key] = b"%d" % number
    for attribute, value in entry.xattrs.items():
        if b"=" in attribute:
            remedy = "rename the attribute: an archive cannot hold a name with ="
            raise ArchiveError(f"attribute {attribute!r}", entry=entry.name, remedy=remedy)
        records[b"SCHILY.xattr." + attribute] = value
    return {} if records.keys() == {b"path"} and _split(entry.name) else records


def _split(name: bytes) -> tuple[bytes, bytes] | None:
    """Return (prefix, name) for the two fields that a long path may be divided between."""
    if len(name) <= _NAME or not name.isascii():
        return None
    end = min(len(name), _PREFIX + 1)
    if end == len(name) and name.endswith(b"/"):
        end -= 1
    slash = name.rfind(b"/", 0, end)
    rest = len(name) - slash - 1
    if slash <= 0 or not 0 < rest <= _NAME:
        return None
    return name[:slash], name[slash + 1 :]


def _extension(name: bytes, records: dict[bytes, bytes]) -> bytes:
    data = b"".join(_record(key, records[key]) for key in sorted(records))
    if len(data) > _LARGEST_EXTENSION:
        remedy = "remove some of its extended attributes"
        raise ArchiveError("its header would be too long", entry=name, remedy=remedy)
    directory, _, base = name.rpartition(b"/")
    path = b"/".join(part for part in (directory, _EXTENSION, base) if part)
    header = Entry(_ascii(path)[:_NAME].rstrip(b"/"), b"x", size=len(data))
    return _block(header, header.name, _REST_OF_EXTENSION) + data + padding(len(data))


def _record(key: bytes, value: bytes) -> bytes:
    rest = b" %b=%b\n" % (key, value)
    size = len(rest) + len(str(len(rest)))
    if len(str(size)) + len(rest) != size:
        size = len(rest) + len(str(size))
    return b"%d%b" % (size, rest)


def _main_block(entry: Entry, uname: bytes, gname: bytes) -> bytes:
    """Return the header after an extended one: what has no room in it is cut, or 0."""
    reduced = entry._replace(
        linkname=_cut(_ascii(entry.linkname), _NAME),
        uid=_or_zero(entry.uid, _LARGEST_ID),
        gid=_or_zero(entry.gid, _LARGEST_ID),
        size=_or_zero(entry.size, _LARGEST_NUMBER),
        mtime_ns=_or_zero(entry.mtime_ns // _SECOND, _LARGEST_NUMBER) * _SECOND,
    )
    names = _cut(_ascii(uname), _OWNER), _cut(_ascii(gname), _OWNER)
    return _block(reduced, _cut(_ascii(entry.name), _NAME), _rest(*names, entry.device, b""))


def _block(entry: Entry, name: bytes, rest: "_Rest") -> bytes:
    """Return one block; its checksum takes the bytes of its own field for spaces."""
    front = b"%b%07o\0%07o\0%07o\0%011o\0%011o\0" % (
        name.ljust(_NAME, b"\0"),
        entry.mode,
        entry.uid,
        entry.gid,
        entry.size,
        entry.mtime_ns // _SECOND,
    )
    link = entry.linkname
    total = _sum(front) + _sum(entry.type) + _sum(link) + rest.sum + 8 * ord(" ")
    link = link.ljust(_NAME, b"\0")
    return b"%b%06o\0 %b%b%b" % (front, total, entry.type, link, rest.data)


class _Rest(NamedTuple):
    """What follows the link in a block, and the sum of its bytes."""

    data: bytes
    sum: int


@lru_cache(maxsize=64)
def _rest(uname: bytes, gname: bytes, device: tuple[int, int], prefix: bytes) -> _Rest:
    names = uname.ljust(_OWNER, b"\0") + gname.ljust(_OWNER, b"\0")
    data = b"%b%b%07o\0%07o\0%b" % (_MAGIC, names, *device, prefix.ljust(_LAST, b"\0"))
    return _Rest(data, _sum(data))


_REST_OF_EXTENSION: Final = _Rest(_MAGIC.ljust(BLOCK - 257, b"\0"), sum(_MAGIC))


def _sum(text: bytes) -> int:
    return (zlib.adler32(text) & 0xFFFF) - 1


def _ascii(text: bytes) -> bytes:
    return text.translate(None, _NOT_ASCII)


def _cut(text: bytes, room: int) -> bytes:
    """Cut a text to its field; a cut that ends in slashes must not look like a directory."""
    if len(text) <= room or text[room - 1 : room] != b"/":
        return text[:room]
    kept = text[:room].rstrip(b"/")
    return kept + b"\0" + text[len(kept) + 1 : room]


def _or_zero(number: int, largest: int) -> int:
    return number if 0 <= number <= largest else 0
