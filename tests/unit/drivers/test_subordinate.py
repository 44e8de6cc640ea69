"""Whose IDs the lines of /etc/subuid are."""

from drivers.idmap.maps import IDMap
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
