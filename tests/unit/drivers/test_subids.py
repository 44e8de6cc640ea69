"""ID maps as people write them, and the lines of /etc/subuid and /etc/subgid."""

from pathlib import Path

import pytest

from drivers.errors import IDMapError
from drivers.idmap.maps import IDMap
from drivers.idmap.subids import parse_maps, sub_ids


def test_a_map_is_three_numbers_or_more_sets_of_three() -> None:
    assert parse_maps(["0:100000:65536"], "--uidmap") == (IDMap(0, 100_000, 65536),)
    both = (IDMap(0, 1, 2), IDMap(5, 6, 7))
    assert parse_maps(["0:1:2:5:6:7"], "--uidmap") == both
    assert parse_maps(["0:1:2", "", "5:6:7"], "--uidmap") == both
    assert parse_maps([], "--uidmap") == ()


@pytest.mark.parametrize(
    "text",
    [
        "0:1",
        "a:1:2",
        "0:1:2:",
        "-1:0:1",
        "0:0:0",
        "0:4294967295:2",
        "0:1:2:3",
        "\u0660:1:2",
        "0: 1:2",
        "0:0:" + "9" * 5000,
    ],
)
def test_what_is_no_map_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(IDMapError, match="--gidmap") as refused:
        parse_maps([text], "--gidmap")
    assert "0:100000:65536" in refused.value.remedy


def test_subordinate_ids_are_mapped_from_zero_on(tmp_path: Path) -> None:
    (tmp_path / "subuid").write_text("# x\ncontainers:500:10\nother:1:1\ncontainers:100:5\n")
    (tmp_path / "subgid").write_text("containers:700:10\nstaff:900:9\n")
    users, groups = sub_ids("containers", directory=str(tmp_path))
    assert users == (IDMap(0, 100, 5), IDMap(5, 500, 10))
    assert groups == (IDMap(0, 700, 10),)
    assert sub_ids("containers", "staff", directory=str(tmp_path))[1] == (IDMap(0, 900, 9),)
    assert sub_ids("ALL", directory=str(tmp_path))[0] == (
        IDMap(0, 1, 1),
        IDMap(1, 100, 5),
        IDMap(6, 500, 10),
    )


def test_numbers_too_long_to_be_one_are_passed_over(tmp_path: Path) -> None:
    for name in ("subuid", "subgid"):
        (tmp_path / name).write_text(f"0:{'9' * 5000}:1\n0:100:5\n")
    assert sub_ids("0", directory=str(tmp_path)) == ((IDMap(0, 100, 5),),) * 2
    with pytest.raises(IDMapError, match="has no range"):
        sub_ids("9" * 5000, directory=str(tmp_path))


def test_the_line_of_a_user_may_have_the_number_instead_of_the_name(tmp_path: Path) -> None:
    for name in ("subuid", "subgid"):
        (tmp_path / name).write_text("0:100:5\n")
    assert sub_ids("root", directory=str(tmp_path)) == ((IDMap(0, 100, 5),),) * 2
    assert sub_ids("0", directory=str(tmp_path)) == ((IDMap(0, 100, 5),),) * 2


def test_who_has_no_subordinate_ids_is_told_which_line_is_missing(tmp_path: Path) -> None:
    with pytest.raises(IDMapError, match=f"{tmp_path}/subuid.*'nobody here'") as refused:
        sub_ids("nobody here", directory=str(tmp_path))
    assert f"to {tmp_path}/subuid" in refused.value.remedy
