"""Sets of user or group IDs as ascending intervals that do not touch (pure).

Used by: backend.api.userns. Knows nothing of: whose IDs they are.
Source of the rules: containers/storage idset.go.
"""

from collections.abc import Iterable
from itertools import pairwise
from typing import NamedTuple

from drivers.idmap.maps import IDMap


class Interval(NamedTuple):
    """IDs from ``start`` to just before ``end``."""

    start: int
    end: int


class IDSet(NamedTuple):
    """IDs, each once. Make one with :func:`id_set`."""

    intervals: tuple[Interval, ...] = ()

    @property
    def size(self) -> int:
        """How many IDs it has."""
        return sum(interval.end - interval.start for interval in self.intervals)

    def without(self, other: "IDSet") -> "IDSet":
        """The IDs that *other* does not have."""
        left = []
        for interval in self.intervals:
            start = interval.start
            for hole in other.intervals:
                if hole.end > start and hole.start < interval.end:
                    left.append(Interval(start, hole.start))
                    start = hole.end
            left.append(Interval(start, interval.end))
        return id_set(left)

    def lowest(self, count: int) -> "IDSet":
        """Its first *count* IDs, or all of them."""
        taken = []
        for start, end in self.intervals:
            size = min(end - start, count)
            taken.append(Interval(start, start + size))
            count -= size
        return id_set(taken)


def id_set(intervals: Iterable[tuple[int, int]]) -> IDSet:
    """The IDs of all *intervals*; they may overlap, and empty ones do not count."""
    found: list[Interval] = []
    for start, end in sorted(intervals):
        if start >= end:
            continue
        if found and start <= found[-1].end:
            found[-1] = Interval(found[-1].start, max(end, found[-1].end))
        else:
            found.append(Interval(start, end))
    return IDSet(tuple(found))


def host_ids(maps: Iterable[IDMap]) -> IDSet:
    """IDs outside that *maps* lead to."""
    return id_set((entry.host_id, entry.host_id + entry.size) for entry in maps)


def container_ids(maps: Iterable[IDMap]) -> IDSet:
    """IDs inside that *maps* lead from."""
    return id_set((entry.container_id, entry.container_id + entry.size) for entry in maps)


def paired(inside: IDSet, outside: IDSet) -> tuple[IDMap, ...]:
    """Map the IDs of *inside* to those of *outside*, both of one size, in order."""
    cuts = sorted(_offsets(inside) | _offsets(outside))
    return tuple(
        IDMap(_nth(inside, first), _nth(outside, first), end - first)
        for first, end in pairwise(cuts)
    )


def _offsets(ids: IDSet) -> set[int]:
    """How many IDs come before each interval, and all of them."""
    found, total = {0}, 0
    for interval in ids.intervals:
        total += interval.end - interval.start
        found.add(total)
    return found


def _nth(ids: IDSet, offset: int) -> int:
    for start, end in ids.intervals:
        if offset < end - start:
            return start + offset
        offset -= end - start
    raise AssertionError("both sets have one size")
