"""Whose IDs the lines of /etc/subuid are."""

from hypothesis import given
from hypothesis import strategies as st

from drivers.idmap.maps import IDMap, through, to_host
from drivers.idmap.subordinate import ranges_of

TEXT = """\
# comment
other:1:10
me:200000:5
1000:100000:10

me:300000:0
me:broken:1
me:1
me:1:2:3
"""


def test_lines_with_name_or_number_are_mapped_in_order_from_one_on() -> None:
    assert ranges_of(TEXT, 1000, "me") == (IDMap(1, 100_000, 10), IDMap(11, 200_000, 5))


def test_a_user_without_a_name_has_the_lines_with_the_number_only() -> None:
    assert ranges_of(TEXT, 1000, "") == (IDMap(1, 100_000, 10),)
    assert ranges_of(TEXT, 7, "nobody") == ()


OUTER = (IDMap(0, 1000, 1), IDMap(1, 100_000, 50), IDMap(51, 300_000, 50))
INNER = (IDMap(0, 40, 30), IDMap(100, 0, 2), IDMap(200, 99, 10))


@given(st.integers(0, 220))
def test_a_container_in_a_namespace_is_mapped_twice(identifier: int) -> None:
    between = to_host(identifier, INNER)
    outside = None if between is None else to_host(between, OUTER)

    assert to_host(identifier, through(INNER, OUTER)) == outside


def test_where_one_map_is_missing_the_other_counts() -> None:
    assert through((), OUTER) == OUTER
    assert through(INNER, ()) == INNER
