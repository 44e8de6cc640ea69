"""A btrfs file system, and a driver and a store on it for each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from backend import Store, open_store
from drivers.protocol import Driver
from tests.support import btrfs, smallstore
from tests.support.driverlayers import open_for
from tests.support.gotools import Roots


@pytest.fixture(scope="package")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A btrfs file system for all tests of it."""
    with btrfs.file_system(tmp_path_factory.mktemp("btrfs")) as where:
        yield where


@pytest.fixture
def roots(disk: Path, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Roots]:
    """Roots of the test's own on that file system."""
    with btrfs.roots(disk, tmp_path.name, tmp_path_factory.mktemp("r")) as roots:
        yield roots


@pytest.fixture
def driver(roots: Roots) -> Driver:
    return open_for(roots, "btrfs")


@pytest.fixture
def store(roots: Roots) -> Iterator[Store]:
    with open_store(smallstore.options(roots, "btrfs")) as store:
        yield store
