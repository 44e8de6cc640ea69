"""Which maps of IDs are refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend import InvalidValueError
from backend.api.idmaps import Maps, check_maps
from drivers.idmap.maps import IDMap

entries = st.lists(
    st.builds(IDMap, st.integers(0, 30), st.integers(0, 30), st.integers(1, 9)), max_size=5
)


def overlaps(one: list[range]) -> bool:
    return len({number for ids in one for number in ids}) < sum(len(ids) for ids in one)


@given(entries)
def test_ranges_are_refused_exactly_if_they_share_an_id_inside_or_outside(
    found: list[IDMap],
) -> None:
    inside = [range(entry.container_id, entry.container_id + entry.size) for entry in found]
    outside = [range(entry.host_id, entry.host_id + entry.size) for entry in found]
    for maps in (Maps(uid=tuple(found)), Maps(gid=tuple(found))):
        if overlaps(inside) or overlaps(outside):
            with pytest.raises(InvalidValueError, match="overlaps"):
                check_maps(maps)
        else:
            check_maps(maps)


@pytest.mark.parametrize(
    "entry",
    [IDMap(0, 0, 0), IDMap(0, 0, -1), IDMap(-1, 0, 5), IDMap(0, -1, 5), IDMap(0, 2**32 - 1, 2)],
)
def test_what_is_no_range_is_refused(entry: IDMap) -> None:
    with pytest.raises(InvalidValueError, match="no range"):
        check_maps(Maps(uid=(entry,)))


def test_the_whole_range_of_ids_is_one() -> None:
    check_maps(Maps((IDMap(0, 0, 2**32),), (IDMap(0, 1, 2**32 - 1),)))
