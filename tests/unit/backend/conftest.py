"""A disk for tests that make many stores or layers."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import mounttable


@pytest.fixture
def in_memory(tmp_path: Path) -> Iterator[Path]:
    """A file system where a flush costs nothing."""
    where = tmp_path / "memory"
    where.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "memory", where], check=True, timeout=30)
    yield where
    mounttable.unmount_below(tmp_path)
