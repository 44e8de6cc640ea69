"""What a store looks like after a stop at any write, and what still works on a full disk."""

import errno
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import pytest

from backend import Store, open_store
from drivers.linux import atomicfile
from tests.support import mounttable
from tests.support.storehistory import make, options

pytestmark = pytest.mark.root


def whole(store: Store) -> None:
    """Every record has its directories, nobody is half made, references hold."""
    snapshot = store.snapshot()
    for container in snapshot.containers:
        if container.layer not in snapshot.layers:  # its deletion was under way: finish it
            store.containers.delete(container.id)
    snapshot = store.snapshot()
    assert snapshot.problems == ()
    for layer in snapshot.layers:
        assert not layer.incomplete
        assert os.path.isdir(store.driver.diff_directory(layer.id))
        assert layer.parent is None or layer.parent in snapshot.layers
        for key in layer.big_data_names:
            store.layers.big_data(layer.id, key)
    for image in snapshot.images:
        assert image.layer in snapshot.layers
        assert store.images.big_data(image.id, "manifest") == b"{}"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("driver", "first"), [("vfs", 0), pytest.param("overlay", 1, marks=pytest.mark.overlay)]
)
def test_a_stop_at_any_change_of_a_directory_leaves_a_whole_store(
    in_memory: Path, driver: str, first: int
) -> None:
    lives = [sys.executable, "-m", "tests.support.storehistory", str(in_memory), driver]
    subprocess.run([*lives, str(first), "2"], timeout=100, check=True)
    bases = list(in_memory.iterdir())
    assert len(bases) > 50
    for base in bases:
        with open_store(options(base, driver)) as store:
            whole(store)
            store.layers.create(names=["after"])
            whole(store)
        assert not (base / "graph" / f"{driver}-layers" / "tmp").exists()
        assert not (base / "graph" / driver / "tempdirs").exists()


def test_a_failed_write_changes_nothing_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_store(options(tmp_path, "vfs")) as store:
        make(store)
        before = (tmp_path / "graph/vfs-images/images.json").read_bytes()

        def full(*_: Any, **__: Any) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        with monkeypatch.context() as patch:
            patch.setattr(atomicfile.os, "write", full)
            with pytest.raises(OSError, match="space"):
                store.images.set_names("i", ["other"])
        assert (tmp_path / "graph/vfs-images/images.json").read_bytes() == before
        assert [image.names for image in store.cached().images] == [("i",)]
        assert [image.names for image in store.snapshot().images] == [("i",)]
        assert not [name for name in os.listdir(tmp_path / "graph/vfs-images") if ".tmp" in name]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own with room for a small store."""
    image, where = tmp_path / "disk", tmp_path / "mounted"
    with image.open("wb") as file:
        file.truncate(8 << 20)
    subprocess.run(["mkfs.ext4", "-q", "-m", "0", "-I", "256", image], check=True, timeout=30)
    where.mkdir()
    subprocess.run(["mount", "-o", "loop", image, where], check=True, timeout=30)
    yield where
    mounttable.unmount_below(where)


def write_for_ever(file: IO[bytes], data: bytes) -> None:
    while True:
        file.write(data)


def fill(where: Path) -> None:
    """Not one byte more fits."""
    with (where / "ballast").open("wb", buffering=0) as file:
        for size in (1 << 16, 1 << 10, 1):
            with pytest.raises(OSError, match="No space left"):
                write_for_ever(file, bytes(size))
    assert os.statvfs(where).f_bavail == 0


@pytest.mark.overlay
@pytest.mark.parametrize("driver", ["overlay", "vfs"])
def test_deleting_works_with_no_byte_free(small_disk: Path, driver: str) -> None:
    with open_store(options(small_disk, driver)) as store:
        make(store)
        layer = store.layers.create(names=["spare"], writable=False)
        for identifier in (layer.id, store.cached().containers.by_name["keep"].layer):
            directory = Path(store.driver.diff_directory(identifier))
            (directory / "content").write_bytes(bytes(8 << 10))
        fill(small_disk)
        with pytest.raises(OSError, match="space"):
            store.layers.set_big_data("spare", "large", bytes(1 << 20))
        store.layers.delete("spare")
        fill(small_disk)
        store.containers.delete("keep")
        fill(small_disk)
        store.images.delete("i")
        snapshot = store.snapshot()
        assert (*snapshot.layers, *snapshot.images, *snapshot.containers) == ()
        assert snapshot.problems == ()
