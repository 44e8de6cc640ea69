"""layer.tar: the archive of a layer, to the byte, at any offset."""

import errno
import hashlib
import io
import os
import random
import tarfile
from pathlib import Path

import pytest

from backend.errors import DamagedError, LayerUnknownError
from backend.store import Store
from fusefs.errnos import errno_of
from fusefs.nodes.base import File, OpenFile

from .conftest import CALLER, Tree

FILES = 150


def archive() -> bytes:
    """Many small files, one of more than a megabyte, a link, an empty file."""
    made, chance = io.BytesIO(), random.Random(3)
    with tarfile.open(fileobj=made, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for number in range(FILES):
            entry = tarfile.TarInfo(f"file{number:03d}")
            data = chance.randbytes(1_500_000 if number == 70 else number % 1100)
            entry.size, entry.mtime = len(data), number
            tar.addfile(entry, io.BytesIO(data))
        link = tarfile.TarInfo("link")
        link.type, link.linkname = tarfile.SYMTYPE, "file001"
        tar.addfile(link)
    return made.getvalue()


@pytest.fixture
def layer(store: Store) -> tuple[str, bytes]:
    """A layer and the archive that it was made of."""
    data = archive()
    return store.layers.put(io.BytesIO(data)).id, data


def opened(tree: Tree, layer: str) -> OpenFile:
    node = tree.node(f"layers/{layer}/layer.tar")
    assert isinstance(node, File)
    return node.open(os.O_RDONLY, CALLER)


def test_it_is_the_archive_that_the_layer_was_made_of(tree: Tree, layer: tuple[str, bytes]) -> None:
    identifier, data = layer
    where = f"layers/{identifier}"
    assert tree.read(f"{where}/layer.tar") == data
    assert tree.stat(f"{where}/layer.tar").size == len(data)
    digest = "sha256:" + hashlib.sha256(data).hexdigest()
    assert tree.read(f"{where}/digest").decode().strip() == digest


def test_it_is_read_at_any_offset(tree: Tree, layer: tuple[str, bytes]) -> None:
    identifier, data = layer
    file, chance = opened(tree, identifier), random.Random(4)
    for _ in range(300):
        offset, size = chance.randrange(len(data) + 100), chance.randrange(1, 200_000)
        assert file.read(offset, size) == data[offset : offset + size]
    assert file.read(len(data), 10) == b""
    file.release()


def test_only_the_part_that_is_wanted_is_read(tree: Tree, layer: tuple[str, bytes]) -> None:
    identifier, data = layer
    root = Path(tree.store.options.graph_root, "vfs", "dir", identifier)
    (root / "file070").unlink()
    file = opened(tree, identifier)
    assert file.read(len(data) - 20_000, 20_000) == data[-20_000:]
    with pytest.raises(DamagedError, match="file070") as damaged:
        file.read(0, len(data))
    assert errno_of(damaged.value) == errno.EUCLEAN
    file.release()


@pytest.mark.parametrize("change", [b"x" * 99, b"other"])
def test_content_that_was_changed_is_no_archive(
    tree: Tree, layer: tuple[str, bytes], change: bytes
) -> None:
    identifier, _ = layer
    Path(tree.store.options.graph_root, "vfs", "dir", identifier, "file099").write_bytes(change)
    with pytest.raises(DamagedError, match="file099"):
        tree.read(f"layers/{identifier}/layer.tar")


def test_a_layer_that_was_made_of_no_archive_gets_one_while_it_is_read(
    tree: Tree, store: Store
) -> None:
    made = store.layers.create()
    root = Path(store.options.graph_root, "vfs", "dir", made.id)
    for number in range(20):
        (root / f"file{number}").write_bytes(bytes([number]) * 100_000)
    assert tree.stat(f"layers/{made.id}/layer.tar").size == 0
    data = tree.read(f"layers/{made.id}/layer.tar")
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        assert {f"file{number}" for number in range(20)} <= set(tar.getnames())
    file = opened(tree, made.id)
    assert file.direct_io
    for offset in (0, 1_500_000, 300_000, len(data) - 10, len(data) + 5, 0):
        assert file.read(offset, 1000) == data[offset : offset + 1000]
    file.release()


def test_after_an_error_no_end_is_taken_for_that_of_the_archive(tree: Tree, store: Store) -> None:
    made = store.layers.create()
    root = Path(store.options.graph_root, "vfs", "dir", made.id)
    for number in range(20):
        (root / f"file{number}").write_bytes(bytes([number]) * 100_000)
    file = opened(tree, made.id)
    offset = len(file.read(0, 200_000))
    store.layers.delete(made.id)

    def rest(offset: int) -> None:
        while piece := file.read(offset, 200_000):
            offset += len(piece)

    for _ in range(3):
        with pytest.raises(LayerUnknownError):
            rest(offset)
    with pytest.raises(LayerUnknownError):
        file.read(0, 1000)
    file.release()


def test_it_cannot_be_written(tree: Tree, layer: tuple[str, bytes]) -> None:
    node = tree.node(f"layers/{layer[0]}/layer.tar")
    assert isinstance(node, File)
    with pytest.raises(PermissionError):
        node.open(os.O_WRONLY, CALLER)
