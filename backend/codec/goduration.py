"""Lengths of time as Go writes them: ``24h``, ``1h30m``, ``1.5s``, ``300ms`` (pure).

Used by: backend.cli (``check --max``). Source: Go's time.ParseDuration.
"""

import re
from fractions import Fraction
from typing import Final

_UNITS: Final = {
    "ns": Fraction(1, 10**9),
    "us": Fraction(1, 10**6),
    "\u00b5s": Fraction(1, 10**6),  # the micro sign
    "\u03bcs": Fraction(1, 10**6),  # the Greek letter
    "ms": Fraction(1, 1000),
    "s": Fraction(1),
    "m": Fraction(60),
    "h": Fraction(3600),
}
_PART: Final = re.compile(r"([0-9]+\.?[0-9]*|\.[0-9]+)([a-z\u00b5\u03bc]+)", re.ASCII)
_LONGEST: Final = (1 << 63) / 10**9
"""Go counts nanoseconds in 63 bits: 292 years."""


def seconds(text: str) -> float:
    """Return the seconds that *text* stands for. Raises ValueError."""
    sign, rest = (-1, text[1:]) if text.startswith("-") else (1, text.removeprefix("+"))
    if rest == "0":
        return 0.0
    total, at = Fraction(0), 0
    for part in _PART.finditer(rest):
        if part.start() != at or part[2] not in _UNITS:
            break
        total += Fraction(part[1]) * _UNITS[part[2]]
        at = part.end()
    if not at or at != len(rest) or total > _LONGEST:
        raise ValueError(f"{text!r} is no length of time like 24h or 1h30m")
    return float(sign * total)
