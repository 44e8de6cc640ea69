"""Equal files of layers share their blocks: on a file system that can do that, and on another."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from drivers.ids import LayerID
from drivers.powers import Dedup
from drivers.protocol import DedupMethod, Driver, NewLayer
from tests.support import btrfs, process
from tests.support.driverlayers import BASE, CHILD, open_for
from tests.support.gotools import Roots

pytestmark = pytest.mark.root

BLOCK = 128 << 10
SAME = os.urandom(BLOCK) * 5
OTHER = bytes(reversed(SAME))


@pytest.fixture(scope="module")
def sharing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A place on a file system that shares blocks."""
    with btrfs.file_system(tmp_path_factory.mktemp("dedup")) as where:
        yield where


@pytest.fixture(params=["overlay", "vfs"])
def driver(request: pytest.FixtureRequest, sharing: Path, tmp_path: Path) -> Driver:
    return open_for(Roots(sharing / tmp_path.name, tmp_path / "run"), request.param)


def fill(driver: Driver) -> list[LayerID]:
    for layer in (BASE, CHILD):
        driver.create(NewLayer(id=layer))
        root = Path(driver.diff_directory(layer))
        (root / "deep").mkdir()
        (root / "deep" / "same").write_bytes(SAME)
        os.link(root / "deep" / "same", root / "again")
        (root / "own").write_bytes(SAME if layer == BASE else OTHER)
        (root / "small").write_bytes(b"x")
        (root / "empty").touch()
        (root / "link").symlink_to("own")
        os.mkfifo(root / "fifo")
    return [BASE, CHILD]


def extents(path: Path) -> list[str]:
    """Where the blocks of a file are, as the kernel tells."""
    os.sync()
    lines = process.run(["filefrag", "-v", str(path)], timeout=20).stdout.decode().splitlines()
    return [line.split(":")[2] for line in lines if line.strip()[:1].isdigit() and ".." in line]


@pytest.mark.btrfs
@pytest.mark.parametrize("method", DedupMethod)
def test_equal_files_share_their_blocks_and_others_do_not(
    driver: Driver, method: DedupMethod
) -> None:
    assert isinstance(driver, Dedup)
    layers = fill(driver)
    base, child = (Path(driver.diff_directory(layer)) for layer in layers)
    before = os.stat(child / "deep" / "same")
    # same of the base first, then its own, then same of the child; small files have no blocks.
    saved = driver.dedup(layers, method)
    assert 2 * len(SAME) <= saved <= 2 * len(SAME) + 1
    assert extents(base / "deep" / "same") == extents(child / "deep" / "same")
    assert extents(base / "own") == extents(child / "again")
    assert extents(child / "own") != extents(base / "own")
    assert (child / "own").read_bytes() == OTHER
    assert (child / "again").read_bytes() == SAME
    assert os.stat(child / "deep" / "same").st_mtime_ns == before.st_mtime_ns


@pytest.mark.parametrize("name", ["overlay", "vfs"])
def test_where_nothing_can_be_shared_nothing_happens(roots: Roots, name: str) -> None:
    driver = open_for(roots, name)
    assert isinstance(driver, Dedup)
    layers = fill(driver)
    assert driver.dedup(layers, DedupMethod.SHA256) >= 0
    assert Path(driver.diff_directory(CHILD), "again").read_bytes() == SAME
