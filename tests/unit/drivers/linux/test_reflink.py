"""Content is copied whole, or the copy fails."""

import os
from pathlib import Path

import pytest

from drivers.linux import reflink


def test_a_copy_has_all_of_the_content(tmp_path: Path) -> None:
    content = os.urandom(3_000_000)
    (tmp_path / "source").write_bytes(content)
    with (tmp_path / "source").open("rb") as source, (tmp_path / "copy").open("wb") as target:
        reflink.copy_content(source.fileno(), target.fileno())
    assert (tmp_path / "copy").read_bytes() == content


def test_a_target_that_takes_a_part_only_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "source").write_bytes(bytes(1_000_000))
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    with (tmp_path / "source").open("rb") as source, pytest.raises(BlockingIOError):
        reflink.copy_content(source.fileno(), writing)
    os.close(reading)
    os.close(writing)
