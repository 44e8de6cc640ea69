"""A file that grows beside its place, and what is left of it when the disk is full."""

import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from backend.files.stagedfile import StagedFile


@contextmanager
def no_room() -> Iterator[None]:
    """No file may grow."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_what_was_sealed_and_placed_is_there_and_nothing_beside_it(tmp_path: Path) -> None:
    with StagedFile(str(tmp_path / "trash")) as staged:
        staged.file.write(b"content")
        staged.seal()
        staged.place(str(tmp_path / "placed"))

    assert os.listdir(tmp_path) == ["placed"]
    assert (tmp_path / "placed").read_bytes() == b"content"


def test_what_the_disk_did_not_take_is_erased_and_its_error_is_the_first_one(
    tmp_path: Path,
) -> None:
    def stage() -> None:
        with StagedFile(str(tmp_path / "trash")) as staged:
            staged.file.write(b"still in memory")
            raise ValueError("the archive is bad")

    with no_room(), pytest.raises(ValueError, match="the archive is bad"):
        stage()

    assert os.listdir(tmp_path) == []
