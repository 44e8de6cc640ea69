"""Ranges of user or group IDs, as values (pure).

Used by: records, drivers. Knows nothing of: subordinate ID files, the kernel.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

_LAST_ID: Final = (1 << 32) - 1
_MOST_DIGITS: Final = 20  # int() itself refuses thousands, with another error


class IDMap(NamedTuple):
    """One range: ``container_id + n`` inside is ``host_id + n`` outside, for n below ``size``."""

    container_id: int
    host_id: int
    size: int


MapPair = tuple[tuple[IDMap, ...], tuple[IDMap, ...]]
"""The map of users and the map of groups."""

NO_MAPS: Final[MapPair] = ((), ())
"""IDs are the same inside and outside."""


def is_range(entry: IDMap) -> bool:
    """Whether such IDs exist, inside and outside: 32 bits, and at least one of them."""
    first = min(entry.container_id, entry.host_id)
    last = max(entry.container_id, entry.host_id) + entry.size - 1
    return entry.size >= 1 and first >= 0 and last <= _LAST_ID


def parse_range(words: Sequence[str]) -> IDMap | None:
    """Return the range that three decimal numbers say, or None if they say none."""
    numbers = [int(word) for word in words if is_number(word)]
    if len(words) != 3 or len(numbers) != 3:
        return None
    entry = IDMap(*numbers)
    return entry if is_range(entry) else None


def is_number(word: str) -> bool:
    """Whether *word* is decimal digits alone, of which int() makes a number."""
    return word.isascii() and word.isdigit() and len(word) <= _MOST_DIGITS


def to_host(identifier: int, ranges: tuple[IDMap, ...]) -> int | None:
    """Return the host ID of a container's ID, or None where no range has it.

    No ranges at all is the identity. The first range that matches wins.
    """
    if not ranges:
        return identifier
    for entry in ranges:
        if entry.container_id <= identifier < entry.container_id + entry.size:
            return identifier - entry.container_id + entry.host_id
    return None


def to_container(identifier: int, ranges: tuple[IDMap, ...]) -> int | None:
    """Return the container's ID for a host ID, or None where no range has it; see to_host."""
    if not ranges:
        return identifier
    for entry in ranges:
        if entry.host_id <= identifier < entry.host_id + entry.size:
            return identifier - entry.host_id + entry.container_id
    return None


def through(inner: tuple[IDMap, ...], outer: tuple[IDMap, ...]) -> tuple[IDMap, ...]:
    """Return the map of a container in a user namespace: *inner* leads into *outer*."""
    if not inner or not outer:
        return inner or outer
    found = []
    for near in inner:
        for far in outer:
            first = max(near.host_id, far.container_id)
            end = min(near.host_id + near.size, far.container_id + far.size)
            if first < end:
                inside = near.container_id + first - near.host_id
                found.append(IDMap(inside, far.host_id + first - far.container_id, end - first))
    return tuple(found)
