"""Archives made byte by byte, because no library writes what an attacker would.

Used by: tests.support.hostilecases, conformance tests of unpacking. ``@OUTSIDE@`` in a name or a
target stands for a directory beside the root, whose content must stay as it is.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

EPOCH = 1_600_000_000
OUTSIDE = b"@OUTSIDE@"
_BLOCK = 512

FILE, HARD, LINK, CHAR, BLOCK, DIR, FIFO = (b"%d" % number for number in range(7))


@dataclass(frozen=True, slots=True)
class Member:
    """One entry; *pax* are records of an extended header in front, raw."""

    name: bytes
    type: bytes = FILE
    data: bytes = b""
    link: bytes = b""
    mode: int = 0o644
    uid: int = 0
    gid: int = 0
    mtime: int = EPOCH
    device: tuple[int, int] = (0, 0)
    size: int | None = None
    pax: Mapping[bytes, bytes] = field(default_factory=dict)

    def blocks(self, outside: bytes) -> bytes:
        """Header and content, with *outside* for the placeholder."""
        name, link = (text.replace(OUTSIDE, outside) for text in (self.name, self.link))
        records = dict(self.pax)
        if len(name) > 100 or b"\0" in name:
            records[b"path"] = name
        if len(link) > 100 or b"\0" in link:
            records[b"linkpath"] = link
        extended = b"".join(_record(key, value) for key, value in records.items())
        front = b""
        if extended:
            front = _header(b"x", b"x", len(extended)) + _padded(extended)
        size = len(self.data) if self.size is None else self.size
        return front + _header(name, self.type, size, link, self) + _padded(self.data)


@dataclass(frozen=True, slots=True)
class Case:
    """An archive and what becomes of it.

    *refused* are words of the error, "" where it is accepted; *refused_in* names the kind of
    whiteouts if only one refuses it. *lower* is what the layer below has. *differs* says why the
    Go tools do otherwise; then they are not asked.
    """

    name: str
    members: Sequence[Member]
    refused: str = ""
    refused_in: str = ""
    lower: Sequence[Member] = ()
    differs: str = ""

    def words(self, whiteouts: str) -> str:
        """Words of the error with that kind of whiteouts, "" if it accepts the archive."""
        return self.refused if self.refused_in in ("", whiteouts) else ""


def archive(members: Sequence[Member], outside: bytes = b"/nowhere") -> bytes:
    """A whole archive."""
    return b"".join(member.blocks(outside) for member in members) + bytes(2 * _BLOCK)


def _record(key: bytes, value: bytes) -> bytes:
    rest = b" " + key + b"=" + value + b"\n"
    length = len(rest)
    while len(b"%d" % length) + len(rest) != length:
        length = len(b"%d" % length) + len(rest)
    return b"%d" % length + rest


def _header(
    name: bytes, kind: bytes, size: int, link: bytes = b"", member: Member | None = None
) -> bytes:
    of = member or Member(name)
    fields = (
        (name.replace(b"\0", b"?")[:100], 100),
        (_number(of.mode, 8), 8),
        (_number(of.uid, 8), 8),
        (_number(of.gid, 8), 8),
        (_number(size, 12), 12),
        (_number(of.mtime, 12), 12),
        (b" " * 8, 8),
        (kind, 1),
        (link.replace(b"\0", b"?")[:100], 100),
        (b"ustar\x0000", 8),
        (b"", 64),
        (_number(of.device[0], 8), 8),
        (_number(of.device[1], 8), 8),
        (b"", 167),
    )
    block = b"".join(value.ljust(width, b"\0") for value, width in fields)
    return block[:148] + b"%06o\0 " % sum(block) + block[156:]


def _number(value: int, width: int) -> bytes:
    if 0 <= value < 8 ** (width - 1):
        return b"%0*o\0" % (width - 1, value)
    packed = bytearray(value.to_bytes(width, "big", signed=True))
    packed[0] |= 0x80
    return bytes(packed)


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % _BLOCK)


def directory(name: bytes, mode: int = 0o755) -> Member:
    """A directory."""
    return Member(name, DIR, mode=mode)


def link(name: bytes, target: bytes) -> Member:
    """A symbolic link."""
    return Member(name, LINK, link=target)


def hard_link(name: bytes, target: bytes) -> Member:
    """A hard link."""
    return Member(name, HARD, link=target)


LOWER = (
    Member(b"d", DIR, mode=0o755),
    Member(b"d/old", data=b"old"),
    Member(b"d/e", DIR, mode=0o700),
    Member(b"d/e/older", data=b"older"),
    Member(b"f", data=b"file"),
    Member(b"in", LINK, link=b"/d"),
    Member(b"out", LINK, link=OUTSIDE),
    Member(b"up", LINK, link=b"../outside"),
    Member(b"pipe", FIFO),
)
"""What most upper layers are put on: it has links that lead out."""
