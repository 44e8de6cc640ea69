"""Containers whose layers hold no more than was asked for."""

import os
from pathlib import Path

import pytest

from backend import Store
from drivers.errors import DriverOptionError
from tests.support import process

pytestmark = [pytest.mark.root, pytest.mark.btrfs]


def write_megabytes(store: Store, reference: str, count: int) -> int:
    layer = store.containers.find(reference).layer
    path = os.path.join(store.driver.diff_directory(layer), "big")
    words = ["dd", "if=/dev/zero", f"of={path}", "bs=1M", f"count={count}", "conv=fsync"]
    return process.run(words, check=False).returncode


def test_the_layer_of_one_container_is_limited_and_no_other(store: Store, disk: Path) -> None:
    few = store.containers.create(names=("few",), storage_opt={"Size": "4M"})
    store.containers.create(names=("any",))
    assert write_megabytes(store, "few", 8) != 0
    assert write_megabytes(store, "any", 8) == 0
    note = Path(store.driver.home, "quotas", few.layer)
    assert note.read_text() == str(4 << 20)
    store.containers.delete("few")
    store.containers.delete("any")
    assert not note.exists()
    process.run(["btrfs", "quota", "disable", str(disk)])


@pytest.mark.parametrize("options", [{"size": "x"}, {"size": "0"}, {"min_space": "1G"}])
def test_a_size_that_cannot_be_is_refused_and_nothing_is_made(
    store: Store, options: dict[str, str]
) -> None:
    with pytest.raises(DriverOptionError, match=r"btrfs\."):
        store.containers.create(names=("web",), storage_opt=options, big_data=[("key", b"x")])
    snapshot = store.snapshot()
    assert (len(snapshot.layers), len(snapshot.containers)) == (0, 0)
    assert store.driver.list_layers() == []
    assert not os.path.exists(os.path.join(store.driver.home, "quotas"))
