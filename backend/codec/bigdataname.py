"""Which file of its object a big data item lives in (pure).

Used by: backend.files.bigdata, backend.api.{check,upkeep}, fusefs. Source of the rule:
containers/storage store.go (makeBigDataBaseName), with its quirk: the scan stops *after* the first
odd character and encodes only if anything follows, so a key whose one odd character is its last
stays as it is.
"""

from __future__ import annotations

import re

from backend.errors import InvalidValueError
from drivers.ids import is_path_component


def file_name(key: str) -> str:
    """Return the name of the item's file. Raises InvalidValueError for a key that cannot have one.

    Refused beyond Go's rule: keys that would name the directory itself or one elsewhere.
    """
    raw = key.encode("utf-8", "surrogateescape")
    name = _encoded(raw)
    if not is_path_component(name):
        raise InvalidValueError("big data key", key, "it has no file name that could hold it")
    return name


def _encoded(raw: bytes) -> str:
    plain = re.match(rb"[.0-9a-z]*", raw)
    odd = plain.end() if plain else 0
    first_odd = raw[odd:].decode("utf-8", "surrogateescape")[:1]
    if len(first_odd.encode("utf-8", "surrogateescape")) >= len(raw) - odd:
        return raw.decode("utf-8", "surrogateescape")
    import base64  # most names need none

    return "=" + base64.b64encode(raw).decode("ascii")
