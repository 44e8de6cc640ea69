"""Names of whiteouts."""

import pytest

from drivers.archive import whiteout


@pytest.mark.parametrize("name", [b"x", b".x", b"...", b".wh.x", b" "])
def test_a_marker_removes_the_name_it_was_made_of(name: bytes) -> None:
    marker = whiteout.marker_of(name)

    assert whiteout.is_marker(marker)
    assert whiteout.removed_name(marker) == name


@pytest.mark.parametrize("marker", [b".wh.", b".wh..", b".wh..."])
def test_a_marker_of_a_directory_itself_or_its_parent_removes_nothing(marker: bytes) -> None:
    assert whiteout.is_marker(marker)
    assert whiteout.removed_name(marker) is None


@pytest.mark.parametrize("name", [b"wh.x", b".whx", b".WH.x", b"x.wh."])
def test_other_names_are_no_markers(name: bytes) -> None:
    assert not whiteout.is_marker(name)
