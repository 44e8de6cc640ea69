"""What is left when a layer that arrives is cut off: by a kill, by a full disk."""

import gzip
import io
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from backend import DiskFullError, Store, StoreOptions, open_store
from tests.support import mounttable
from tests.support.layertars import BASE, TOP, files_of
from tests.support.ociimage import Entry, layer_tar

pytestmark = pytest.mark.root

DRIVERS = ["vfs", pytest.param("overlay", marks=pytest.mark.overlay)]
PUT = """
import sys
from backend import StoreOptions, open_store
graph, run, driver = sys.argv[1:]
with open_store(StoreOptions(graph_root=graph, run_root=run, driver=driver)) as store:
    store.layers.put(sys.stdin.buffer, parent="base", names=["half"])
"""


def test_a_killed_process_leaves_no_layer_and_nothing_for_long(
    store: Store, options: StoreOptions
) -> None:
    store.layers.put(io.BytesIO(BASE), names=["base"])
    before = files_of(options.graph_root)
    words = (options.graph_root, options.run_root, options.driver)
    command = [sys.executable, "-c", PUT, *words]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as child:
        assert child.stdin is not None
        child.stdin.write(layer_tar([Entry("big", bytes(1 << 20))])[: 1 << 19])
        child.stdin.flush()
        while files_of(options.graph_root) == before:
            assert child.poll() is None
        child.kill()
    assert [layer.names for layer in store.snapshot().layers] == [("base",)]
    store.layers.put(io.BytesIO(TOP), parent="base", names=["next"])
    store.layers.delete("next")
    assert files_of(options.graph_root) == before


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own with room for a small store."""
    image, where = tmp_path / "disk", tmp_path / "mounted"
    with image.open("wb") as file:
        file.truncate(8 << 20)
    subprocess.run(["mkfs.ext4", "-q", "-m", "0", image], check=True, timeout=30)
    where.mkdir()
    subprocess.run(["mount", "-o", "loop", image, where], check=True, timeout=30)
    yield where
    mounttable.unmount_below(where)


@pytest.mark.parametrize("driver", DRIVERS)
def test_a_layer_that_does_not_fit_leaves_nothing_and_says_where_there_is_no_room(
    small_disk: Path, driver: str
) -> None:
    place = StoreOptions(
        graph_root=str(small_disk / "graph"), run_root=str(small_disk / "run"), driver=driver
    )
    large = gzip.compress(layer_tar([Entry("d"), Entry("d/large", bytes(16 << 20))]))
    with open_store(place) as store:
        store.layers.put(io.BytesIO(BASE), names=["base"])
        before, free = files_of(place.graph_root), os.statvfs(small_disk).f_bavail
        with pytest.raises(DiskFullError, match="no space left on device") as caught:
            store.layers.put(io.BytesIO(large), parent="base", names=["large"])
        assert caught.value.path == place.graph_root
        assert caught.value.remedy
        assert files_of(place.graph_root) == before
        assert os.statvfs(small_disk).f_bavail >= free - 8
        assert [layer.names for layer in store.snapshot().layers] == [("base",)]
        store.layers.put(io.BytesIO(TOP), parent="base", names=["small"])
