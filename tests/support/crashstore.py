"""The small store that operations are tried on, and what a user sees of it.

Used by: tests.support.{crashoperations,crashlives,crashlook,crashmount}. IDs are given wherever a
verb takes one, so that a whole life and one that was cut short can be compared object by object.
"""

import hashlib
import io
import json
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from backend import Store, StoreOptions, open_store
from backend.errors import DamagedError
from backend.model.records import Layer
from backend.model.snapshot import Snapshot
from drivers.idmap.maps import IDMap
from drivers.ids import LayerID
from tests.support.layertars import BASE, TOP
from tests.support.ociimage import Entry, layer_tar, write_layout

LOW, HIGH, DOOMED, NEW = "a" * 64, "b" * 64, "c" * 64, "d" * 64
BLANK = "ab" * 32
IMAGE, DOOMED_IMAGE, NEW_IMAGE = "1" * 64, "2" * 64, "4" * 64
DOOMED_TOP = LayerID("3" * 64)
BOX, DOOMED_BOX, DOOMED_ROOT, NEW_BOX, NEW_ROOT = "5" * 64, "6" * 64, "7" * 64, "8" * 64, "9" * 64
BOX_ROOT = LayerID("d" * 63 + "0")
FAR_IMAGE, FAR_LAYER, LOST = "f" * 64, "e" * 64, "0" * 64
MORE: Final = layer_tar([Entry("more"), Entry("more/file", b"more\n"), Entry("etc/motd", b"new")])
MAPS: Final = (IDMap(0, 100_000, 65_536),)
STRAY: Final = "a copy that no image has"

View = Mapping[str, object]
Items = tuple[tuple[str, bytes, None], ...]


def _packed(*tars: bytes) -> Items:
    """Manifest and configuration of an image with these layers, and one item more."""
    layers = [(f"sha256:{hashlib.sha256(tar).hexdigest()}", len(tar)) for tar in tars]
    config = _json(
        {
            "architecture": "amd64",
            "os": "linux",
            "rootfs": {"type": "layers", "diff_ids": [digest for digest, _ in layers]},
        }
    )
    kind = "application/vnd.oci.image"
    name = f"sha256:{hashlib.sha256(config).hexdigest()}"
    manifest = {
        "schemaVersion": 2,
        "mediaType": f"{kind}.manifest.v1+json",
        "config": {"mediaType": f"{kind}.config.v1+json", "digest": name, "size": len(config)},
        "layers": [
            {"mediaType": f"{kind}.layer.v1.tar", "digest": digest, "size": size}
            for digest, size in layers
        ],
    }
    return (("manifest", _json(manifest), None), (name, config, None), ("note", b"n", None))


def _json(value: object) -> bytes:
    return json.dumps(value).encode()  # noqa: TID251 - not a record of a store


ITEMS: Final = _packed(BASE, TOP)


def options(base: str, driver: str) -> StoreOptions:
    """The store below *base*, which reads another one there too if the driver can."""
    shared = () if driver == "btrfs" else (f"{driver}.imagestore={base}/shared",)
    return StoreOptions(f"{base}/graph", f"{base}/run", driver=driver, driver_options=shared)


def make(base: str, driver: str) -> None:
    """Make it, the other one, an archive to import, and files of subordinate IDs."""
    for name in ("subuid", "subgid"):
        Path(base, name).write_text("containers:300000:5000\n")
    far = StoreOptions(f"{base}/shared", f"{base}/run-shared", driver=driver)
    with open_store(far) as store:
        store.layers.put(io.BytesIO(BASE), id=FAR_LAYER)
        store.images.create(id=FAR_IMAGE, names=["far"], layer=FAR_LAYER, big_data=_packed(BASE))
    with open_store(options(base, driver)) as store:
        store.layers.put(io.BytesIO(BASE), id=LOW, names=["low"], big_data=[("k", b"v")])
        store.layers.put(io.BytesIO(TOP), id=HIGH, parent=LOW)
        store.layers.put(io.BytesIO(TOP), id=DOOMED, parent=LOW, names=["doomed"])
        store.layers.put(io.BytesIO(TOP), id=DOOMED_TOP, parent=LOW)
        store.layers.create(id=BLANK, parent=LOW, writable=False)
        store.images.create(id=IMAGE, names=["image"], layer=HIGH, big_data=ITEMS)
        store.images.create(id=DOOMED_IMAGE, names=["old"], layer=DOOMED_TOP, big_data=ITEMS)
        for box, root in ((BOX, BOX_ROOT), (DOOMED_BOX, DOOMED_ROOT)):
            store.containers.create(
                id=box, layer_id=root, image=IMAGE, names=[f"box{box[0]}"], big_data=[("d", b"1")]
            )
    write_layout(Path(base, "layout"), [[Entry("etc"), Entry("etc/a", b"a" * 9000)]])


def roles(snapshot: Snapshot) -> Mapping[LayerID, str]:
    """Names for layers whose IDs are made up in each life: copies for other owners."""
    named = {
        copy: f"copy of {image.id}" for image in snapshot.images for copy in image.mapped_layers
    }
    above = {box.layer for box in snapshot.containers}
    strays = [layer for layer in snapshot.layers if layer.id not in named and _is_copy(layer)]
    return named | {layer.id: STRAY for layer in strays if layer.id not in above}


def _is_copy(layer: Layer) -> bool:
    return bool(layer.uid_map) and layer.id not in (NEW, NEW_ROOT)


def view(store: Store) -> View:
    """Everything that a user of the store can see, but for times."""
    seen: dict[str, object] = {}
    snapshot = store.snapshot()
    named = roles(snapshot)
    for layer in snapshot.layers:
        plain = layer._replace(
            id=LayerID(named.get(layer.id, layer.id)),
            parent=LayerID(named.get(layer.parent, layer.parent)) if layer.parent else None,
            created="",
            location="",
        )
        items = {key: store.layers.big_data(layer.id, key) for key in layer.big_data_names}
        seen[f"layer {plain.id}"] = (
            plain._replace(flags=dict(layer.flags), extra=dict(layer.extra)),
            items,
            content(store.driver.diff_directory(layer.id)),
        )
    for image in snapshot.images:
        items = {key: store.images.big_data(image.id, key) for key in image.big_data_names}
        seen[f"image {image.id}"] = image.names, image.layer, image.metadata, image.digest, items
        if image.layer == HIGH:
            seen[f"mount {HIGH}"] = store.mounts.count(HIGH)
    for box in snapshot.containers:
        items = {key: _item(store, box.id, key) for key in box.big_data_names}
        seen[f"container {box.id}"] = box.names, box.layer, box.image, box.metadata, items
        if box.layer in snapshot.layers:
            seen[f"mount {box.layer}"] = store.mounts.count(box.id)
    return seen


def _item(store: Store, container: str, key: str) -> bytes:
    try:
        return store.containers.big_data(container, key)
    except DamagedError:  # the check tells it too
        return b"damaged"


def content(root: str) -> str:
    """A digest of a tree: names, kinds, modes, owners, bytes."""
    known = hashlib.sha256()
    for directory, names, files in os.walk(root):
        names.sort()
        for name in sorted((*names, *files)):
            path = os.path.join(directory, name)
            status = os.lstat(path)
            facts = status.st_mode, status.st_rdev, status.st_uid, status.st_gid
            known.update(f"{os.path.relpath(path, root)} {facts}".encode())
            if stat.S_ISREG(status.st_mode):
                known.update(Path(path).read_bytes())
            elif stat.S_ISLNK(status.st_mode):
                known.update(os.fsencode(os.readlink(path)))
    return known.hexdigest()
