r"""JSON as the Go tools write it, from plain Python values (pure).

Used by: backend.codec.{recordfiles,imageformat}, backend.files.recordfile, backend.cli
(``--json``). Knows nothing of: records.

Compact; ``< > &`` and U+2028/2029 escaped; map keys in byte order; numbers in Go's float64
spelling (containers/storage uses json-iterator in its standard-library mode, whose only short
escapes are ``\n \r \t \" \\``). Bytes that are no UTF-8 survive a round trip: they are kept
as surrogates (PEP 383) and written back as they were, where Go would write ``\ufffd``.
"""

import json
import re
from collections.abc import Mapping
from functools import cache
from typing import Any, Final

_ESCAPES: Final = {
    **{chr(code): f"\\u{code:04x}" for code in (*range(0x20), *b"<>&", 0x2028, 0x2029)},
    "\n": "\\n",
    "\r": "\\r",
    "\t": "\\t",
    '"': '\\"',
    "\\": "\\\\",
}


class MalformedError(ValueError):
    """Text that is no JSON. ``position`` is the first bad byte (or character) as far as known."""

    def __init__(self, position: int, reason: str) -> None:
        super().__init__(f"byte {position}: {reason}")
        self.position, self.reason = position, reason


def decode(data: bytes) -> Any:
    """Return the value that JSON *data* stands for. Raises MalformedError."""
    hole = data.find(b"\0")
    if hole >= 0:
        raise MalformedError(hole, f"{data.count(0)} NUL bytes, as after a power cut")
    text, lossless = _text(data)
    try:
        value = json.loads(text, parse_constant=_refuse_constant)
    except json.JSONDecodeError as exc:
        at_end = exc.pos >= len(text.rstrip())
        reason = "it ends too early (truncated)" if at_end else exc.msg
        raise MalformedError(len(text[: exc.pos].encode(errors="replace")), reason) from None
    except RecursionError:
        raise MalformedError(0, "nested too deeply") from None
    except ValueError as exc:
        raise MalformedError(0, str(exc)) from None
    return value if lossless else _without_surrogates(value)


def encode(value: Any) -> bytes:
    """Return the bytes that the Go tools would write for *value*."""
    return encode_text(value).encode("utf-8", "surrogateescape")


def encode_text(value: Any, *, sort: bool = True) -> str:
    """:func:`encode` before its last step, for callers that join pieces.

    Without *sort* the members of objects stay in their order.
    """
    kind = type(value)
    if kind is str:
        return f'"{_special().sub(_escape, value)}"'
    if kind is tuple or kind is list:
        return f"[{','.join([encode_text(item, sort=sort) for item in value])}]"
    if isinstance(value, Mapping):
        members = sorted(value.items(), key=_byte_order) if sort else value.items()
        inner = [f"{encode_string(k)}:{encode_text(v, sort=sort)}" for k, v in members]
        return f"{{{','.join(inner)}}}"
    return _scalar(value)


def encode_string(text: str) -> str:
    """Return *text* quoted and escaped."""
    return f'"{_special().sub(_escape, text)}"'


def _scalar(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return _number(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")


@cache
def _special() -> re.Pattern[str]:
    return re.compile('[\x00-\x1f"\\\\<>&\u2028\u2029]')


def _escape(match: re.Match[str]) -> str:
    return _ESCAPES[match[0]]


def _byte_order(member: tuple[str, Any]) -> bytes:
    return member[0].encode("utf-8", "surrogateescape")


def _text(data: bytes) -> tuple[str, bool]:
    """The text, and whether every surrogate in what it decodes to stands for a byte of it."""
    try:
        text = data.decode()
    except UnicodeDecodeError:
        text = data.decode("utf-8", "surrogateescape")
        if not _has_surrogate_escape(text):
            return text, True
        return data.decode("utf-8", "replace"), False
    return text, not _has_surrogate_escape(text)


def _has_surrogate_escape(text: str) -> bool:
    return "\\u" in text and re.search(r"\\u[dD][89a-fA-F]", text) is not None


def _without_surrogates(value: Any) -> Any:
    """Half of a pair in an escape has no UTF-8 form: U+FFFD, as in Go."""
    match value:
        case str():
            return re.sub("[\ud800-\udfff]", "\ufffd", value)
        case list():
            return [_without_surrogates(item) for item in value]
        case dict():
            return {_without_surrogates(k): _without_surrogates(v) for k, v in value.items()}
        case _:
            return value


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON number")


def _number(value: float) -> str:
    """Shortest digits; an exponent only below 1e-6 and from 1e21 on, without its leading zero."""
    from math import isfinite

    if not isfinite(value):
        raise TypeError(f"{value} has no JSON form")
    size = abs(value)
    if size != 0 and (size < 1e-6 or size >= 1e21):
        mantissa, _, exponent = repr(value).partition("e")
        digits = exponent.lstrip("+-").lstrip("0")
        return f"{mantissa}e{'-' if size < 1 else '+'}{digits}"
    text = repr(value)
    if "e" in text:
        text = _positional(text)
    return text.removesuffix(".0")


def _positional(text: str) -> str:
    """``1.5e-06`` or ``1e+16`` without exponent."""
    mantissa, _, exponent = text.partition("e")
    sign = "-" if mantissa.startswith("-") else ""
    whole, _, fraction = mantissa.lstrip("-").partition(".")
    digits, point = whole + fraction, len(whole) + int(exponent)
    if point <= 0:
        return f"{sign}0.{'0' * -point}{digits}"
    return f"{sign}{digits.ljust(point, '0')}"
