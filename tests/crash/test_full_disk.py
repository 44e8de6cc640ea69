"""What works on a file system without a free block: looking, and deleting until there is room."""

import io
import os
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from backend import StoreOptions, open_store
from backend.model.findings import Depth
from tests.support import mounttable
from tests.support.layertars import BASE, TOP
from tests.support.ociimage import Entry, layer_tar

pytestmark = [pytest.mark.root, pytest.mark.overlay]

KINDS = {
    "tmpfs": ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs"],
    "ext4": ["mount", "-o", "loop"],
}


@pytest.fixture(params=["tmpfs", pytest.param("ext4", marks=pytest.mark.loop)])
def small_disk(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Path]:
    """A file system of four megabytes."""
    where, image = tmp_path / "mounted", tmp_path / "disk"
    where.mkdir()
    command = KINDS[request.param]
    if request.param == "ext4":
        image.write_bytes(b"")
        os.truncate(image, 4 << 20)
        subprocess.run(["mkfs.ext4", "-q", "-m", "0", image], check=True, timeout=30)
        command = [*command, str(image)]
    subprocess.run([*command, str(where)], check=True, timeout=30)
    yield where
    mounttable.unmount_below(where)


def fill(disk: Path) -> None:
    """Leave no block, and no room for a name."""
    with suppress(OSError), (disk / "ballast").open("wb", buffering=0) as file:
        for size in (1 << 16, 1 << 12, 1):
            with suppress(OSError):
                while file.write(bytes(size)):
                    pass
    with suppress(OSError):
        for number in range(100_000):
            (disk / f"{number}{'x' * 200}").mkdir()


@pytest.mark.parametrize("driver", ["overlay", "vfs"])
def test_everything_can_be_deleted_where_nothing_can_be_written(
    small_disk: Path, driver: str
) -> None:
    place = StoreOptions(f"{small_disk}/graph", f"{small_disk}/run", driver=driver)
    with open_store(place) as store:
        store.layers.put(io.BytesIO(BASE), names=["low"])
        top = store.layers.put(io.BytesIO(TOP), parent="low")
        store.images.create(names=["image"], layer=top.id, big_data=[("manifest", b"{}", None)])
        store.containers.create(names=["box"], image="image", big_data=[("d", b"1")])
        store.layers.put(io.BytesIO(layer_tar([Entry("big", bytes(1 << 18))])), names=["big"])
    fill(small_disk)
    with open_store(place) as store:
        with pytest.raises(OSError, match="space"):
            store.images.set_metadata("image", "m" * 9000)
        assert len(store.snapshot().layers) == 4
        store.containers.delete("box")
        store.images.delete("image")
        store.layers.delete("big")
        assert store.check(Depth.FILES).sound
        assert len(store.snapshot().layers) == 0
