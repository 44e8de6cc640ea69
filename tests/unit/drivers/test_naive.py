"""Comparing two trees in full."""

import os
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.idmap.maps import NO_MAPS, IDMap, MapPair
from drivers.ids import LayerID
from drivers.linux import rename
from drivers.naive import TreeDifference, compare
from drivers.vfs.copying import copy_tree


def changes(
    old: Path | None, new: Path, maps: MapPair = NO_MAPS, old_maps: MapPair = NO_MAPS
) -> dict[bytes, str]:
    fds = [os.open(path, os.O_RDONLY) for path in (new, old) if path is not None]
    try:
        found = compare(fds[1] if old else None, fds[0], maps=maps, old_maps=old_maps)
    finally:
        for fd in fds:
            os.close(fd)
    assert [change.path for change in found] == sorted(change.path for change in found)
    return {change.path: change.kind.name for change in found}


def size(old: Path, new: Path) -> int:
    trees = {"new": new, "old": old}
    return TreeDifference(
        lambda layer: os.open(trees[layer], os.O_RDONLY), LayerID("new"), LayerID("old")
    ).size()


def two_trees(root: Path) -> tuple[Path, Path]:
    old, new = root / "old", root / "new"
    (old / "a" / "b").mkdir(parents=True)
    (old / "a" / "b" / "file").write_text("x")
    (old / "link").symlink_to("a")
    new.mkdir()
    copy_tree(str(old), str(new))
    return old, new


def test_a_copy_is_no_change(tmp_path: Path) -> None:
    assert changes(*two_trees(tmp_path)) == {}


def test_a_change_deep_below_lists_every_directory_on_the_way(tmp_path: Path) -> None:
    old, new = two_trees(tmp_path)
    (new / "a" / "b" / "file").unlink()
    assert changes(old, new) == {b"/a": "MODIFY", b"/a/b": "MODIFY", b"/a/b/file": "DELETE"}


def test_everything_is_new_compared_with_nothing(tmp_path: Path) -> None:
    old, _ = two_trees(tmp_path)
    paths = (b"/a", b"/a/b", b"/a/b/file", b"/link")
    assert changes(None, old) == dict.fromkeys(paths, "ADD")


def test_a_tree_that_became_a_file_is_one_change(tmp_path: Path) -> None:
    old, new = two_trees(tmp_path)
    (new / "a" / "b" / "file").unlink()
    (new / "a" / "b").rmdir()
    (new / "a" / "b").touch()
    assert changes(old, new) == {b"/a": "MODIFY", b"/a/b": "MODIFY"}


def test_links_are_compared_by_where_they_lead(tmp_path: Path) -> None:
    old, new = two_trees(tmp_path)
    times = os.lstat(old / "link")
    (new / "link").unlink()
    (new / "link").symlink_to("b")
    os.utime(new / "link", ns=(times.st_atime_ns, times.st_mtime_ns), follow_symlinks=False)
    assert changes(old, new) == {b"/link": "MODIFY"}


def test_an_attribute_alone_is_a_change(tmp_path: Path) -> None:
    old, new = two_trees(tmp_path)
    os.setxattr(new / "a" / "b" / "file", "user.x", b"1")
    assert changes(old, new)[b"/a/b/file"] == "MODIFY"


def shifted(by: int) -> MapPair:
    """Maps under which this process is the user *by* of a container."""
    return (IDMap(by, os.getuid(), 1),), (IDMap(by, os.getgid(), 1),)


@pytest.mark.parametrize(
    ("maps", "old_maps", "same"),
    [
        (shifted(5), shifted(5), True),
        (shifted(5), shifted(6), False),
        (shifted(5), NO_MAPS, False),
        (NO_MAPS, shifted(5), False),
        (((IDMap(0, 1 << 30, 1),), ()), shifted(5), True),  # nobody's here: as it is on disk
    ],
)
def test_owners_are_the_same_if_they_are_to_their_containers(
    tmp_path: Path, maps: MapPair, old_maps: MapPair, same: bool
) -> None:
    old, new = two_trees(tmp_path)
    assert (changes(old, new, maps, old_maps) == {}) is same


def test_trees_can_be_compared_while_files_come_and_go(tmp_path: Path) -> None:
    old, new = two_trees(tmp_path)
    done = threading.Event()

    def come_and_go() -> None:
        while not done.is_set():
            for number in range(20):
                (new / f"d{number}").mkdir()
                (new / f"d{number}" / "file").write_text("x")
            for number in range(20):
                (new / f"d{number}" / "file").unlink()
                (new / f"d{number}").rmdir()

    changing = threading.Thread(target=come_and_go)
    changing.start()
    try:
        found = [changes(old, new) for _ in range(100)]
    finally:
        done.set()
        changing.join()
    assert any(found)
    for names in found:
        assert all(name.startswith(b"/d") for name in names)


def test_trees_can_be_compared_while_a_directory_and_a_link_change_places(tmp_path: Path) -> None:
    old, new = two_trees(tmp_path)
    (new / "d" / "inner").mkdir(parents=True)
    (new / "d" / "inner" / "file").write_text("x")
    (new / "l").symlink_to("nowhere")
    done = threading.Event()

    def change_places() -> None:
        directory = os.open(new, os.O_RDONLY)
        while not done.is_set():
            rename.renameat2(directory, b"d", directory, b"l", 2)
        os.close(directory)

    changing = threading.Thread(target=change_places)
    changing.start()
    try:
        for _ in range(300):
            assert set(changes(old, new)) & {b"/d", b"/l"}
            size(old, new)
    finally:
        done.set()
        changing.join()


def test_the_size_of_a_change_is_that_of_its_files_each_once(tmp_path: Path) -> None:
    old, new = two_trees(tmp_path)
    (new / "five").write_text("12345")
    os.link(new / "five", new / "a" / "again")
    (new / "link").unlink()
    (new / "seven").symlink_to("1234567")
    assert size(old, new) == 12


def test_a_time_without_nanoseconds_is_the_same_time(tmp_path: Path) -> None:
    old, new = two_trees(tmp_path)
    file = "a/b/file"
    os.utime(old / file, ns=(0, 1_000_000_000))
    os.utime(new / file, ns=(0, 1_000_000_005))
    assert changes(old, new) == {}
    os.utime(old / file, ns=(0, 1_000_000_006))
    assert changes(old, new)[b"/a/b/file"] == "MODIFY"


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.text("ab", min_size=1, max_size=3), unique=True),
    st.lists(st.text("ab", min_size=1, max_size=3), unique=True),
)
def test_names_on_one_side_only_are_added_or_deleted(
    tmp_path_factory: pytest.TempPathFactory, before: list[str], after: list[str]
) -> None:
    root = tmp_path_factory.mktemp("trees")
    for side, names in (("old", before), ("new", after)):
        (root / side).mkdir()
        for name in names:
            (root / side / name).touch()
            os.utime(root / side / name, (0, 0))
    expected = {name.encode(): "DELETE" for name in set(before) - set(after)}
    expected |= {name.encode(): "ADD" for name in set(after) - set(before)}
    found = changes(root / "old", root / "new")
    assert {path.lstrip(b"/"): kind for path, kind in found.items()} == expected
