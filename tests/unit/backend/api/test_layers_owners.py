"""Layers for other IDs: what is recorded, who owns the files, copies of other layers."""

import io
import os
from pathlib import Path

import pytest

from backend import InvalidValueError, NotMountedError, Store, StoreOptions, open_store
from backend.api.making import make_layer
from backend.model.records import Layer
from backend.stores.transaction import Kind
from drivers.archive.compression import Compression
from drivers.idmap.maps import IDMap
from drivers.ids import LayerID
from tests.support.layertars import BASE, TOP, unpacked

pytestmark = pytest.mark.root

MAP, OTHER = (IDMap(0, 100000, 65536),), (IDMap(0, 300000, 65536),)
DRIVERS_THAT_OWN = pytest.mark.parametrize("options", ["vfs"], indirect=True)


def owner(store: Store, layer: str, name: str) -> int:
    view = store.driver.open_merged(LayerID(layer))
    try:
        return os.stat(f"/proc/self/fd/{view}/{name}").st_uid
    finally:
        os.close(view)


@DRIVERS_THAT_OWN
def test_maps_come_from_the_caller_the_parent_or_the_store(
    store: Store, options: StoreOptions
) -> None:
    own = store.layers.put(io.BytesIO(BASE), names=["own"], uid_map=MAP, gid_map=MAP)
    child = store.layers.put(io.BytesIO(TOP), parent="own")
    empty = store.layers.create(parent="own")
    host = store.layers.create(parent="own", host_uid_mapping=True, host_gid_mapping=True)
    maps = [(layer.uid_map, layer.gid_map) for layer in (own, child, empty, host)]
    assert maps == [(MAP, MAP)] * 3 + [((), ())]
    assert [owner(store, layer.id, "etc") for layer in (own, empty, host)] == [100000, 100000, 0]
    assert owner(store, child.id, "usr/old/new") == 100000
    with open_store(options._replace(uid_map=OTHER, gid_map=OTHER)) as mapped:
        assert mapped.layers.create().uid_map == OTHER
        assert mapped.layers.create(parent="own").uid_map == MAP
        assert mapped.layers.create(host_uid_mapping=True).uid_map == ()


@DRIVERS_THAT_OWN
def test_files_of_the_parent_get_the_owners_of_the_new_layer(store: Store) -> None:
    store.layers.put(io.BytesIO(BASE), names=["base"])
    mapped = store.layers.put(io.BytesIO(TOP), parent="base", uid_map=MAP, gid_map=MAP)
    assert owner(store, mapped.id, "etc/passwd") == 100000
    assert owner(store, mapped.id, "usr/old/new") == 100000
    assert owner(store, store.layers.find("base").id, "etc/passwd") == 0
    with store.layers.diff(mapped.id, compression=Compression.NONE) as archive:
        assert b"".join(archive) == TOP
    back = store.layers.create(parent=mapped.id, uid_map=OTHER, gid_map=OTHER)
    assert owner(store, back.id, "etc/passwd") == 300000


def test_maps_that_overlap_are_refused(store: Store) -> None:
    with pytest.raises(InvalidValueError, match="overlaps"):
        store.layers.create(uid_map=(IDMap(0, 1000, 10), IDMap(5, 2000, 10)))
    assert len(store.snapshot().layers) == 0


def test_a_copy_of_a_layer_has_its_content_and_its_archive(store: Store) -> None:
    store.layers.put(io.BytesIO(BASE), names=["base"])
    top = store.layers.put(io.BytesIO(TOP), names=["top"], parent="base", metadata="m")
    shop = store._shop
    wanted = Layer(id=LayerID("c" * 64), parent=top.parent, uid_map=MAP, gid_map=MAP)
    with shop.writing(Kind.LAYERS, Kind.CONTAINERS) as tx:
        copy = make_layer(shop, tx, wanted, writable=False, template=top)
    same = top._replace(
        id=copy.id, names=(), created=copy.created, flags={}, uid_map=MAP, gid_map=MAP
    )
    assert copy == same
    views = [store.driver.open_merged(layer.id) for layer in (copy, top)]
    assert unpacked(f"/proc/self/fd/{views[0]}/.") == unpacked(f"/proc/self/fd/{views[1]}/.")
    for view in views:
        os.close(view)
    assert owner(store, copy.id, "etc/passwd") == 100000
    assert owner(store, copy.id, "usr/old/new") == 100000
    with store.layers.diff(copy.id, compression=Compression.NONE) as archive:
        assert b"".join(archive) == TOP
    assert store.layers.by_uncompressed_digest(top.diff_digest) == [top, copy]


def test_a_copy_that_an_image_keeps_for_other_ids_may_be_deleted(store: Store) -> None:
    store.layers.put(io.BytesIO(BASE), names=["base"])
    store.layers.create(names=["mapped"])
    image = store.images.create(layer="base")
    mapped = store.layers.find("mapped").id
    with store._shop.writing(Kind.LAYERS, Kind.IMAGES) as tx:
        tx.images.put(image._replace(mapped_layers=(mapped,)))
        tx.images.save()
    store.layers.delete("mapped")
    assert store.snapshot().images.by_id[image.id].mapped_layers == ()
    assert [layer.names for layer in store.snapshot().layers] == [("base",)]


@DRIVERS_THAT_OWN
def test_owners_above_a_mounted_layer_that_it_does_not_know(
    store: Store, options: StoreOptions, tmp_path: Path
) -> None:
    plain = store.layers.create(names=["plain"])
    assert store.layers.parent_owners(plain.id) == ((), ())
    store.layers.create(names=["mapped"], uid_map=MAP, gid_map=MAP)
    with pytest.raises(NotMountedError):
        store.layers.parent_owners("mapped")
    where = Path(store.mounts.mount("mapped"))
    assert where.parent == Path(options.graph_root, "vfs/dir")
    os.chown(options.graph_root, 100007, 54321)
    os.chown(tmp_path, 44, 100008)
    assert store.layers.parent_owners("mapped") == ((0, 44), (0, 54321))
    store.mounts.unmount("mapped")
