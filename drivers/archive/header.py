"""One block of 512 bytes as the header of an entry: oldest (v7), ustar, GNU and star (pure).

Used by: drivers.archive.{scanner,pax}. Knows nothing of: extended headers, payloads, streams.

The rules are those of Go's archive/tar, so that both see the same entries in the same bytes:
numbers are octal or base-256, the checksum may be of signed bytes, fields end at a NUL.
"""

import struct
from typing import Final, NamedTuple

BLOCK: Final = 512
_FIELDS: Final = struct.Struct("100s8s8s8s12s12s8s1s100s6s2s32s32s8s8s167s")
_CHECKSUM: Final = slice(148, 156)
_USTAR: Final = b"ustar\0"
_GNU: Final = (b"ustar ", b" \0")
_STAR_TRAILER: Final = b"tar\0"
_INT64: Final = range(-(1 << 63), 1 << 63)


class BadHeaderError(ValueError):
    """A header, or a record of an extended one, that cannot be understood."""


class Header(NamedTuple):
    """The fields of a block. Times are seconds; numbers may be negative."""

    name: bytes
    type: bytes
    linkname: bytes
    size: int
    mode: int
    uid: int
    gid: int
    mtime: int
    atime: int | None
    device: tuple[int, int]


def decode(block: bytes) -> Header:
    """What *block* says. Raises BadHeaderError."""
    fields = _FIELDS.unpack(block)
    name, mode, uid, gid, size, mtime, checksum, kind, linkname, magic, version = fields[:11]
    if not _is_sum(block, _octal(checksum)):
        raise BadHeaderError("the checksum does not match")
    atime, device, prefix = None, (0, 0), b""
    if magic == _USTAR or (magic, version) == _GNU:
        device = (_number(fields[13]), _number(fields[14]))
        rest: bytes = fields[15]
        if magic != _USTAR:
            atime, prefix = _after_gnu_devices(rest)
        elif rest.endswith(_STAR_TRAILER):
            atime, prefix = _number(rest[131:143]), _text(rest[:131])
            _number(rest[143:155])
        else:
            prefix = _text(rest[:155])
    name = _text(name)
    return Header(
        prefix + b"/" + name if prefix else name,
        kind,
        _text(linkname),
        _number(size),
        _number(mode),
        _number(uid),
        _number(gid),
        _number(mtime),
        atime,
        device,
    )


def _is_sum(block: bytes, expected: int) -> bool:
    """Whether *expected* is the sum of the bytes, those of the checksum counted as blanks."""
    counted = block[: _CHECKSUM.start] + b" " * 8 + block[_CHECKSUM.stop :]
    total = sum(counted)
    return total == expected or total - 256 * sum(byte > 0x7F for byte in counted) == expected


def _after_gnu_devices(rest: bytes) -> tuple[int | None, bytes]:
    """Access time and prefix of a GNU header.

    GNU headers have no prefix, but Go wrote one before 1.8: there the times make no sense.
    """
    access, change = rest[:12], rest[12:24]
    try:
        atime = _number(access) if access[0] else None
        if change[0]:
            _number(change)
    except BadHeaderError:
        prefix = _text(rest[:155])
        return None, prefix if prefix.isascii() else b""
    return atime, b""


def _text(field: bytes) -> bytes:
    return field.partition(b"\0")[0]


def _number(field: bytes) -> int:
    return _base256(field) if field[0] & 0x80 else _octal(field)


def _octal(field: bytes) -> int:
    digits = field.strip(b" \0")
    if not digits.isdigit():
        digits = digits.partition(b"\0")[0] or b"0"
    try:
        if digits.isdigit():
            return int(digits, 8)
    except ValueError:
        pass
    raise BadHeaderError(f"{field!r} is no octal number")


def _base256(field: bytes) -> int:
    """Two's complement, big endian; the top bit only marks it."""
    bits = 8 * len(field) - 1
    value = int.from_bytes(field, "big") & ((1 << bits) - 1)
    if field[0] & 0x40:
        value -= 1 << bits
    if value not in _INT64:
        raise BadHeaderError(f"{field!r} is too large a number")
    return value
