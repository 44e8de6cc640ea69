"""Ranges of user or group IDs, as values (pure).

Used by: records, drivers. Knows nothing of: subordinate ID files, the kernel.
"""

from typing import Final, NamedTuple


class IDMap(NamedTuple):
    """One range: ``container_id + n`` inside is ``host_id + n`` outside, for n below ``size``."""

    container_id: int
    host_id: int
    size: int


MapPair = tuple[tuple[IDMap, ...], tuple[IDMap, ...]]
"""The map of users and the map of groups."""

NO_MAPS: Final[MapPair] = ((), ())
"""IDs are the same inside and outside."""


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
