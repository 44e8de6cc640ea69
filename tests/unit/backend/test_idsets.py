"""Sets of IDs behave as sets of numbers do."""

from hypothesis import given
from hypothesis import strategies as st

from backend.model.idsets import IDSet, container_ids, host_ids, id_set, paired
from drivers.idmap.maps import IDMap, to_host

intervals = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)), max_size=8)


def numbers(ids: IDSet) -> set[int]:
    return {number for start, end in ids.intervals for number in range(start, end)}


def plain(pairs: list[tuple[int, int]]) -> set[int]:
    return {number for start, end in pairs for number in range(start, end)}


@given(intervals, intervals)
def test_a_set_has_the_numbers_of_its_intervals_each_once(
    one: list[tuple[int, int]], other: list[tuple[int, int]]
) -> None:
    ids = id_set(one)
    assert numbers(ids) == plain(one)
    assert ids.size == len(plain(one))
    assert all(a.end < b.start for a, b in zip(ids.intervals, ids.intervals[1:], strict=False))
    assert numbers(ids.without(id_set(other))) == plain(one) - plain(other)


@given(intervals, st.integers(0, 50))
def test_the_lowest_are_taken_first(pairs: list[tuple[int, int]], count: int) -> None:
    assert numbers(id_set(pairs).lowest(count)) == set(sorted(plain(pairs))[:count])


@given(intervals, intervals)
def test_a_pairing_maps_the_numbers_in_order(
    one: list[tuple[int, int]], other: list[tuple[int, int]]
) -> None:
    size = min(len(plain(one)), len(plain(other)))
    inside, outside = id_set(one).lowest(size), id_set(other).lowest(size)
    maps = paired(inside, outside)
    wanted = zip(sorted(numbers(inside)), sorted(numbers(outside)), strict=True)
    assert [(number, to_host(number, maps)) for number in sorted(numbers(inside))] == (
        list(wanted) if maps else []
    )
    assert container_ids(maps) == inside
    assert host_ids(maps) == outside


def test_intervals_that_touch_are_one() -> None:
    assert id_set([(5, 7), (0, 2), (2, 5), (9, 9)]).intervals == ((0, 7),)
    assert host_ids([IDMap(0, 10, 5), IDMap(5, 15, 5)]).intervals == ((10, 20),)
