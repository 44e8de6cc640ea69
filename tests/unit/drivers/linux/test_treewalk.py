"""Walking trees: what is visited, and that a walk is bounded and stays inside."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from drivers.erase import erase_tree
from drivers.linux.treewalk import listings

_DEPTH = 600


@pytest.fixture
def root(tmp_path: Path) -> Iterator[int]:
    (tmp_path / "tree").mkdir()
    fd = os.open(tmp_path / "tree", os.O_RDONLY | os.O_DIRECTORY)
    yield fd
    os.close(fd)


def test_every_directory_is_listed_once_and_before_what_it_contains(
    root: int, tmp_path: Path
) -> None:
    (tmp_path / "tree" / "a" / "b").mkdir(parents=True)
    (tmp_path / "tree" / "c").mkdir()
    (tmp_path / "tree" / "a" / "file").touch()
    (tmp_path / "tree" / "link").symlink_to("a")
    found = {one.prefix: sorted(entry.name for entry in one.entries) for one in listings(root)}
    assert found == {b"": ["a", "c", "link"], b"a/": ["b", "file"], b"a/b/": [], b"c/": []}
    assert list(found).index(b"a/") < list(found).index(b"a/b/")


def test_a_directory_deeper_than_any_path_costs_few_descriptors(root: int, tmp_path: Path) -> None:
    above = os.dup(root)
    for number in range(_DEPTH):
        os.mkdir(f"{number:010}", dir_fd=above)
        below = os.open(f"{number:010}", os.O_RDONLY | os.O_DIRECTORY, dir_fd=above)
        os.close(above)
        above = below
    os.close(above)
    before = len(os.listdir("/proc/self/fd"))
    most = depth = 0
    for one in listings(root):
        most = max(most, len(os.listdir("/proc/self/fd")) - before)
        depth = max(depth, one.prefix.count(b"/"))
    assert (depth, len(os.listdir("/proc/self/fd"))) == (_DEPTH, before)
    assert most < 70
    erase_tree(str(tmp_path / "tree"))


def test_a_directory_that_became_a_link_meanwhile_is_left_out(root: int, tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    (precious / "secret").mkdir(parents=True)
    (tmp_path / "tree" / "a").mkdir()
    found = []
    for one in listings(root):
        found.append(one.prefix)
        if one.prefix == b"":
            os.rmdir(tmp_path / "tree" / "a")
            (tmp_path / "tree" / "a").symlink_to(precious)
    assert found == [b""]


def test_a_walk_that_is_given_up_closes_what_it_opened(root: int, tmp_path: Path) -> None:
    (tmp_path / "tree" / "a" / "b").mkdir(parents=True)
    before = len(os.listdir("/proc/self/fd"))
    walk = listings(root)
    next(walk), next(walk), next(walk)
    walk.close()
    assert len(os.listdir("/proc/self/fd")) == before
