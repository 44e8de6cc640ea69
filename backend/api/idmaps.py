"""Maps of user and group IDs as records keep them: when they are kept, and which are refused.

Used by: backend.api. Knows nothing of: who chooses the IDs (backend.api.userns).
Source: containers/storage store.go (canUseShifting, putLayer), utils.go (hasOverlappingRanges).
"""

from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

from backend.api.workshop import Workshop
from backend.errors import InvalidValueError
from backend.model.records import Container, Layer
from backend.model.snapshot import LayerTable
from drivers.idmap.maps import IDMap, is_range
from drivers.ids import LayerID


class Maps(NamedTuple):
    """The map of users and the map of groups. An empty one is the identity."""

    uid: tuple[IDMap, ...] = ()
    gid: tuple[IDMap, ...] = ()

    def or_else(self, other: "Maps", *, host_uid: bool = False, host_gid: bool = False) -> "Maps":
        """Take a map from *other* where this has none, unless the host's IDs are wanted."""
        return Maps(
            self.uid if self.uid or host_uid else other.uid,
            self.gid if self.gid or host_gid else other.gid,
        )


def maps_of(record: Layer | Container) -> Maps:
    """The maps of a record."""
    return Maps(record.uid_map, record.gid_map)


def maps_below(layers: LayerTable, below: LayerID | None) -> Maps:
    """The ID maps of the layer that another is compared with; none where there is no such layer."""
    record = layers.get(below) if below else None
    return maps_of(record) if record else Maps()


def shifts(shop: Workshop, maps: Maps) -> bool:
    """Whether the driver shows layers under these IDs while it mounts them."""
    if maps == Maps():
        return False
    from drivers.powers import IDShift

    driver = shop.open_driver()
    return isinstance(driver, IDShift) and driver.shifts(*maps)


def recorded(shop: Workshop, maps: Maps) -> Maps:
    """What a layer's record says: nothing where the driver shifts, since its files stay as is."""
    return Maps() if shifts(shop, maps) else maps


def check_maps(maps: Maps) -> None:
    """Raise InvalidValueError for a range that is none, and for ranges of one map that overlap."""
    for entries in maps:
        for entry in entries:
            if not is_range(entry):
                raise _bad(entry, "it is no range of IDs", "give an ID inside, one outside, a size")
        for one, other in _overlapping(entries):
            reason = f"it overlaps with {_shown(one)}, inside or outside"
            raise _bad(other, reason, "give ranges that do not overlap")


def _bad(entry: IDMap, reason: str, remedy: str) -> InvalidValueError:
    return InvalidValueError("ID map", _shown(entry), reason, remedy=remedy)


def _shown(entry: IDMap) -> str:
    return ":".join(map(str, entry))


def _overlapping(entries: tuple[IDMap, ...]) -> Iterator[tuple[IDMap, IDMap]]:
    """Pairs that share IDs. Only the first number of an entry differs between the two sides."""
    inside = [(entry.container_id, entry) for entry in entries]
    outside = [(entry.host_id, entry) for entry in entries]
    for side in (inside, outside):
        for (start, one), (following, other) in pairwise(sorted(side)):
            if following < start + one.size:
                yield one, other
