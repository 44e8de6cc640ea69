"""Descriptors are closed, whatever fails."""

import os
from pathlib import Path

import pytest

from drivers.dedup import share_equal_files
from drivers.linux.descriptors import all_open
from drivers.protocol import DedupMethod
from drivers.vfs.copying import copy_tree


def how_many() -> int:
    return len(os.listdir("/proc/self/fd"))


def test_they_are_open_in_the_block_and_closed_behind_it(tmp_path: Path) -> None:
    before = how_many()
    with all_open(os.open(tmp_path, os.O_RDONLY) for _ in range(3)) as opened:
        assert len({os.fstat(fd).st_ino for fd in opened}) == 1
        assert how_many() == before + 3
    assert how_many() == before


def test_those_before_one_that_cannot_be_opened_are_closed(tmp_path: Path) -> None:
    before = how_many()
    missing = str(tmp_path / "missing")
    with pytest.raises(FileNotFoundError):
        copy_tree(str(tmp_path), missing)
    with pytest.raises(FileNotFoundError):
        share_equal_files([str(tmp_path), missing], DedupMethod.SIZE)
    assert how_many() == before
