"""Go's time texts: RFC 3339 with up to nine fractional digits (pure).

Used by: backend.codec.fields, backend.api (creation times), backend.cli and fusefs (to show and
to stat). Records keep the text as it was written, zone included; numbers are made here.
"""

import re
import time
from functools import cache
from typing import Final

ZERO: Final = "0001-01-01T00:00:00Z"
"""What Go writes for a time that was never set."""

_NANOSECONDS: Final = 1_000_000_000
_DAYS_TO_EPOCH: Final = 719_468  # from 0000-03-01, where a leap day ends its year


def is_valid(text: str) -> bool:
    """Whether Go would read this as a time."""
    found = _valid().fullmatch(text)
    if found is None:
        return False
    return found[3] <= "28" or int(found[3]) <= _month_length(int(found[1]), int(found[2]))


def now() -> str:
    """The present moment in UTC, as Go writes it."""
    return from_nanoseconds(time.time_ns())


def from_nanoseconds(moment: int) -> str:
    """Return nanoseconds since the epoch as UTC text, trailing zeros of the fraction dropped."""
    seconds, fraction = divmod(moment, _NANOSECONDS)
    text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
    digits = f"{fraction:09}".rstrip("0")
    return f"{text}.{digits}Z" if digits else f"{text}Z"


def to_nanoseconds(text: str) -> int | None:
    """Return nanoseconds since the epoch; None for Go's zero time or a text that is no time."""
    found = _rfc3339().fullmatch(text)
    if found is None or text == ZERO:
        return None
    year, month, day, hour, minute, second = (int(found[n]) for n in range(1, 7))
    seconds = _days(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second
    if found[8]:
        offset = int(found[9]) * 3600 + int(found[10]) * 60
        seconds -= offset if found[8] == "+" else -offset
    return seconds * _NANOSECONDS + int((found[7] or "").ljust(9, "0"))


@cache
def _rfc3339() -> re.Pattern[str]:
    return re.compile(
        r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)"
        r"(?:[.,](\d{1,9})\d*)?(?:Z|([+-])(\d\d):(\d\d))",
        re.ASCII,
    )


@cache
def _valid() -> re.Pattern[str]:
    return re.compile(
        r"(\d{4})-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])T(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d"
        r"(?:[.,]\d+)?(?:Z|[+-]\d\d:\d\d)",
        re.ASCII,
    )


def _month_length(year: int, month: int) -> int:
    if month == 2:
        return 29 if year % 4 == 0 and (year % 100 != 0 or year % 400 == 0) else 28
    return 30 if month in (4, 6, 9, 11) else 31


def _days(year: int, month: int, day: int) -> int:
    """Days from the epoch in the Gregorian calendar, counting years from March."""
    year -= month <= 2
    era, year_of_era = divmod(year, 400)
    day_of_year = (153 * (month + (-3 if month > 2 else 9)) + 2) // 5 + day - 1
    day_of_era = year_of_era * 365 + year_of_era // 4 - year_of_era // 100 + day_of_year
    return era * 146_097 + day_of_era - _DAYS_TO_EPOCH
