"""A store whose read-only layers live in a separate image store."""

import gzip
import io
import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from backend import (
    LayerInUseError,
    LockTimeoutError,
    ReadOnlyStoreError,
    Store,
    StoreOptions,
    open_store,
)
from drivers.archive.compression import Compression
from tests.support.layertars import BASE, TOP, files_of

pytestmark = pytest.mark.root


@pytest.fixture
def split(options: StoreOptions, tmp_path: Path) -> StoreOptions:
    return options._replace(image_store=str(tmp_path / "images"), lock_timeout=0.2)


@pytest.fixture
def store(split: StoreOptions) -> Iterator[Store]:
    with open_store(split) as opened:
        yield opened


def ids(root: str, driver: str) -> list[str]:
    path = Path(root, f"{driver}-layers", "layers.json")
    return [entry["id"] for entry in json.loads(path.read_text())] if path.exists() else []


def test_each_layer_lies_where_the_go_tools_look_for_it(store: Store, split: StoreOptions) -> None:
    base = store.layers.put(io.BytesIO(gzip.compress(BASE)), names=["base"], big_data=[("k", b"v")])
    work = store.layers.create(names=["work"], parent="base")
    assert ids(split.image_store, split.driver) == [base.id]
    assert ids(split.graph_root, split.driver) == [work.id]
    assert store.driver.diff_directory(base.id).startswith(f"{split.image_store}/{split.driver}/")
    assert store.driver.diff_directory(work.id).startswith(f"{split.graph_root}/{split.driver}/")
    beside = Path(split.graph_root, f"{split.driver}-layers")
    assert (beside / f"{base.id}.tar-split.gz").is_file()
    assert (beside / base.id / "k").read_bytes() == b"v"
    with open_store(split) as peer:
        names = [layer.names for layer in peer.snapshot().layers]
    assert names == [("work",), ("base",)]
    with store.layers.diff("base", compression=Compression.NONE) as archive:
        assert b"".join(archive) == BASE
    with (
        open_store(split._replace(read_only=True)) as peer,
        peer.layers.diff("base", compression=Compression.NONE) as archive,
    ):
        assert b"".join(archive) == BASE
    store.layers.add_names("base", ["other"])
    assert ids(split.image_store, split.driver) == [base.id]


def test_deleting_leaves_neither_place_with_anything(store: Store, split: StoreOptions) -> None:
    store.layers.put(io.BytesIO(BASE), names=["base"])
    before = files_of(split.graph_root), files_of(split.image_store)
    store.layers.put(io.BytesIO(TOP), names=["top"], parent="base")
    store.layers.create(names=["work"], parent="top")
    store.layers.delete("work")
    store.layers.delete("top")
    assert files_of(split.image_store) == before[1]
    left = files_of(split.graph_root) - before[0]
    assert {path for path in left if "-layers/layers.json" not in path} <= {
        split.driver,
        f"{split.driver}/dir",
        f"{split.driver}/l",
    }


def test_who_has_either_lock_is_waited_for(store: Store, split: StoreOptions) -> None:
    """Another process may have opened the image store by itself, or the graph root."""
    store.layers.put(io.BytesIO(BASE), names=["base"])
    alone = split._replace(graph_root=split.image_store, image_store="")
    for options in (alone, split._replace(image_store="")):
        with open_store(options) as peer:
            peer.layers.create(names=[f"peer of {options.graph_root}"])
            held, done = threading.Event(), threading.Event()

            def hold(peer: Store = peer) -> None:
                with peer.stores.layers.writing():
                    held.set()  # noqa: B023 - the thread ends with its turn of the loop
                    done.wait(5)  # noqa: B023 - as above

            holder = threading.Thread(target=hold)
            holder.start()
            held.wait(5)
            try:
                with pytest.raises(LockTimeoutError):
                    store.layers.create(names=["refused"])
            finally:
                done.set()
                holder.join()
        assert store.snapshot().layers.find(f"peer of {options.graph_root}")


def test_the_image_store_is_a_store_of_its_own_for_others(
    store: Store, split: StoreOptions
) -> None:
    base = store.layers.put(io.BytesIO(BASE), names=["base"])
    other = StoreOptions(
        graph_root=f"{split.graph_root}-other",
        run_root=split.run_root,
        driver=split.driver,
        driver_options=(f"{split.driver}.imagestore={split.image_store}",),
    )
    with open_store(other) as peer:
        layer = peer.layers.create(parent="base")
        assert layer.parent == base.id
        view = peer.driver.open_merged(layer.id)
        try:
            assert Path(f"/proc/self/fd/{view}/etc/motd").read_text() == "hello\n"
        finally:
            os.close(view)


def test_images_beside_a_separate_store_count_as_users(split: StoreOptions) -> None:
    with open_store(split._replace(image_store="")) as before:
        layer = before.layers.create(names=["used"])
        before.images.create(names=["old"], layer="used")
    with open_store(split) as store:
        with pytest.raises(LayerInUseError, match="image"):
            store.layers.delete(layer.id)
        store.images.delete("old")
        assert len(store.snapshot().layers) == 0


def test_layers_of_an_additional_store_come_back_as_they_were(
    options: StoreOptions, tmp_path: Path
) -> None:
    other = options._replace(graph_root=str(tmp_path / "additional"))
    with open_store(other) as maker:
        base = maker.layers.put(io.BytesIO(gzip.compress(BASE)), names=["base"])
    place = f"{options.driver}.imagestore={other.graph_root}"
    with open_store(options._replace(driver_options=(place,))) as store:
        child = store.layers.put(io.BytesIO(TOP), parent="base")
        assert child.parent == base.id
        for reference, archive in ((base.id, BASE), (child.id, TOP)):
            with store.layers.diff(reference, compression=Compression.NONE) as stream:
                assert b"".join(stream) == archive
        with pytest.raises(ReadOnlyStoreError):
            store.layers.apply_diff("base", io.BytesIO(TOP))
        assert store.layers.by_uncompressed_digest(base.diff_digest)[0].id == base.id


def test_a_volatile_record_stays_with_the_graph_root(split: StoreOptions) -> None:
    with open_store(split) as store:
        store.layers.put(io.BytesIO(BASE), names=["base"])
        store.images.create(names=["i"], layer="base")
        container = store.containers.create(image="i", volatile=True)
        places = {layer.id: layer.location for layer in store.snapshot().layers}
        directory = Path(split.graph_root, f"{split.driver}-layers")
        assert places[container.layer] == str(directory / "volatile-layers.json")
