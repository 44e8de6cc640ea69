r"""Records of extended headers: ``LENGTH KEY=VALUE\n`` (pure).

Used by: drivers.archive.scanner. Knows nothing of: which header they belong to.
"""

from __future__ import annotations

import re
from typing import Final

from drivers.archive.header import BadHeaderError

XATTR: Final = b"SCHILY.xattr."
SPARSE: Final = b"GNU.sparse."
_STRINGS: Final = frozenset({b"path", b"linkpath", b"uname", b"gname"})
_LENGTH: Final = re.compile(rb"([0-9]{1,10}) ")
_INTEGER: Final = re.compile(rb"[+-]?[0-9]{1,64}")
_TIME: Final = re.compile(rb"([+-]?[0-9]{1,64})(?:\.([0-9]*))?")
_INT64: Final = range(-(1 << 63), 1 << 63)
_SHORTEST: Final = 5


def records(data: bytes) -> dict[bytes, bytes]:
    """The records of one header, the last of each key. Raises BadHeaderError."""
    found: dict[bytes, bytes] = {}
    start = 0
    while start < len(data):
        match = _LENGTH.match(data, start)
        end = start + int(match[1]) if match else 0
        if match is None or end - start < _SHORTEST or data[end - 1 : end] != b"\n":
            raise BadHeaderError("an extended header has a record of a wrong length")
        key, equals, value = data[match.end() : end - 1].partition(b"=")
        if not equals or not key or b"\0" in (value if key in _STRINGS else key):
            raise BadHeaderError("an extended header has a record that is no KEY=VALUE")
        found[key] = value
        start = end
    return found


def integer(value: bytes) -> int:
    """A decimal number of 64 bits. Raises BadHeaderError."""
    if _INTEGER.fullmatch(value) is None or (number := int(value)) not in _INT64:
        raise BadHeaderError(f"{value[:64]!r} is no number of 64 bits")
    return number


def nanoseconds(value: bytes) -> int:
    """A time in seconds with any number of decimals, of which nine count."""
    match = _TIME.fullmatch(value)
    if match is None:
        raise BadHeaderError(f"{value[:64]!r} is no time")
    whole = integer(match[1]) * 1_000_000_000
    decimals = int((match[2] or b"")[:9].ljust(9, b"0"))
    return whole - decimals if value.startswith(b"-") else whole + decimals
