"""A store of each driver for tests of verbs."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from backend import Store, StoreOptions, open_store
from tests.support import mounttable

DRIVERS = ["vfs", pytest.param("overlay", marks=pytest.mark.overlay)]


@pytest.fixture(params=DRIVERS)
def options(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[StoreOptions]:
    """Where the store is; nothing is mounted below it afterwards."""
    yield StoreOptions(
        graph_root=str(tmp_path / "graph"),
        run_root=str(tmp_path / "run"),
        driver=request.param,
        lock_timeout=2,
    )
    mounttable.unmount_below(tmp_path)


@pytest.fixture
def store(options: StoreOptions) -> Iterator[Store]:
    """The store, open and empty."""
    with open_store(options) as opened:
        yield opened
