"""Texts that files of the tree hold: JSON documents, JSON lines, moments (pure).

Used by: every node that renders something. Not for files of the store: those are written by
backend.codec, byte for byte as the Go tools write them.
"""

import json
import time
from collections.abc import Mapping
from typing import Any, Final


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} has no form in JSON")


_LINE: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), default=_plain)
_PAGE: Final = json.JSONEncoder(ensure_ascii=False, indent=2, default=_plain)


def line(value: Any) -> bytes:
    """One JSON value on one line, newline included."""
    return _bytes(_LINE.encode(value))


def page(value: Any) -> bytes:
    """One JSON value over several lines, for people and programs."""
    return _bytes(_PAGE.encode(value))


def _bytes(text: str) -> bytes:
    """UTF-8; bytes of names that are no UTF-8 become JSON escapes of lone surrogates."""
    return text.encode("utf-8", "backslashreplace") + b"\n"


def moment(nanoseconds: int) -> str:
    """RFC 3339 in UTC with milliseconds, as the lines of errors and events have it."""
    seconds, rest = divmod(nanoseconds, 1_000_000_000)
    whole = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
    return f"{whole}.{rest // 1_000_000:03d}Z"
