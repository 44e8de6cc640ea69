"""Cutting a record file into the texts of its records without encoding any (pure).

Used by: backend.files.recordfile. Knows nothing of: what the members mean.

It is done for a file of nothing but plain records: their members in the order in which they are
written, none empty, all text printable ASCII that needs no escape. Each piece of such a file is
byte for byte what encoding the record would give.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any, Final

from backend.codec import fields
from backend.codec.fields import Field
from backend.codec.recordfiles import join

_CHARACTER: Final = rb"[ !#-%'-;=?-\[\]-~]"  # neither " nor \, and none of < > &
_TEXT: Final = rb'"%b++"' % _CHARACTER
_ANY_TEXT: Final = rb'"%b*+"' % _CHARACTER
_NUMBER: Final = rb"-?[1-9][0-9]*+"
_ANY_NUMBER: Final = rb"(?:0|%b)" % _NUMBER
_ID_MAP: Final = rb'\{"container_id":%b,"host_id":%b,"size":%b\}' % (3 * (_ANY_NUMBER,))


def _array(element: bytes) -> bytes:
    return rb"\[%b(?:,%b)*+\]" % (element, element)


_PATTERNS: Final[Mapping[Callable[[Any], Any], bytes]] = {
    fields.text: _TEXT,
    fields.optional_text: _TEXT,
    fields.moment: _TEXT,
    fields.texts: _array(_ANY_TEXT),
    fields.integer: _NUMBER,
    fields.integers: _array(_ANY_NUMBER),
    fields.id_maps: _array(_ID_MAP),
}


def cut(data: bytes, members: tuple[Field, ...]) -> Sequence[bytes] | None:
    """The text of each record in *data*, which has these *members*; None if not all are plain."""
    found = _record(members).findall(data)
    return found if join(found) == data else None


@cache
def _record(members: tuple[Field, ...]) -> re.Pattern[bytes]:
    """What one plain record looks like; a member of another kind makes it none."""
    parts: list[bytes] = []
    for member in members:
        if member.read in _PATTERNS:
            comma = b"," if parts else b""
            part = rb'%b"%b":%b' % (comma, member.member.encode(), _PATTERNS[member.read])
            parts.append(part if member.always else rb"(?:%b)?+" % part)
    return re.compile(rb"\{%b\}" % b"".join(parts))
