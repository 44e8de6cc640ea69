"""Verbs on layers.

Used by: backend.store (as Store.layers), backend.api.containers (make_layer).
Durable steps and what a crash between them leaves: backend/LOCKING.md.
"""

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from backend.api import lookup
from backend.api.objects import Objects, checked_names
from backend.api.removal import remove_layer
from backend.api.workshop import Workshop, component
from backend.codec import gotime
from backend.errors import (
    DuplicateIDError,
    LayerHasChildrenError,
    LayerInUseError,
    LayerUnknownError,
    MountedError,
    ParentIsContainerError,
    ReadOnlyStoreError,
)
from backend.files import bigdata
from backend.model.records import EMPTY, Layer
from backend.model.snapshot import LayerTable, Snapshot
from backend.stores.layers import LayerWriter
from backend.stores.transaction import Kind, WriteTx
from drivers.ids import LayerID, generate_id
from drivers.linux import atomicfile
from drivers.protocol import Change, NewLayer


class Layers(Objects[Layer]):
    """Layers of the store."""

    kind = Kind.LAYERS
    word = "layer"
    unknown = LayerUnknownError

    def create(
        self,
        *,
        id: str | None = None,  # noqa: A002 - the field's own name
        parent: str | None = None,
        names: Iterable[str] = (),
        writable: bool = True,
        mount_label: str = "",
        metadata: str = "",
        flags: Mapping[str, Any] = EMPTY,
        big_data: Iterable[tuple[str, bytes]] = (),
    ) -> Layer:
        """Make an empty layer on top of *parent*."""
        with self._shop.writing(Kind.LAYERS, Kind.CONTAINERS) as tx:
            below = self._parent(tx, parent) if parent else None
            wanted = Layer(
                id=LayerID(id if id is not None else generate_id()),
                names=tx.layers.claim_names(checked_names(names)),
                parent=below.id if below else None,
                metadata=metadata,
                mount_label=mount_label,
                flags=flags,
                uid_map=below.uid_map if below else (),
                gid_map=below.gid_map if below else (),
            )
            return make_layer(self._shop, tx, wanted, writable=writable, big_data=big_data)

    def delete(self, reference: str, *, force: bool = False) -> None:
        """Delete a layer that nothing stands on; with *force* also one that is mounted."""
        with self._shop.writing(Kind.LAYERS, Kind.IMAGES, Kind.CONTAINERS) as tx:
            layer = self._editable(tx.layers, reference)
            check_unused(tx, layer)
            if not force:
                check_unmounted(self._shop, tx, layer)
            remove_layer(self._shop, tx, layer)

    def changes(self, reference: str, base: str | None = None) -> Sequence[Change]:
        """What the layer does to its parent, or to the layer *base*; sorted by path."""
        layers = self._shop.fresh().layers
        layer = lookup.layer(layers, reference)
        below = lookup.layer(layers, base).id if base else layer.parent
        return self._shop.open_driver().changes(layer.id, below)

    def _parent(self, tx: WriteTx, reference: str) -> Layer:
        parent = lookup.layer(self._shop.all_layers(tx), reference)
        container = tx.containers.table.by_layer.get(parent.id)
        if container is not None:
            raise ParentIsContainerError(parent.id, container.id)
        return parent

    def _table(self, snapshot: Snapshot) -> LayerTable:
        return snapshot.layers

    def _writer(self, tx: WriteTx) -> LayerWriter:
        return tx.layers

    def _directory(self) -> str:
        return self._shop.paths.layers

    def _with_item(self, record: Layer, key: str, data: bytes, digest: str | None) -> Layer:
        del data, digest
        keys = tuple(dict.fromkeys((*record.big_data_names, key)))
        return record._replace(big_data_names=keys)

    def _without_item(self, record: Layer, key: str) -> Layer:
        keys = tuple(known for known in record.big_data_names if known != key)
        return record._replace(big_data_names=keys)


def make_layer(
    shop: Workshop,
    tx: WriteTx,
    wanted: Layer,
    *,
    writable: bool,
    volatile: bool = False,
    big_data: Iterable[tuple[str, bytes]] = (),
) -> Layer:
    """Record *wanted* as incomplete, make its directories, declare it complete.

    Whatever fails in between, the layer is removed again.
    """
    component("layer ID", wanted.id)
    if tx.layers.get(wanted.id) is not None:
        raise DuplicateIDError("layer", wanted.id)
    if shop.paths.image_store and not writable:
        raise ReadOnlyStoreError("the separate image store", remedy="make the layer writable")
    location = shop.stores.layers.files[volatile].path
    layer = wanted._replace(
        created=gotime.now(),
        flags={**wanted.flags, "incomplete": True},
        location=location,
    )
    tx.layers.put(layer)
    tx.layers.save()
    try:
        layer = _add_items(shop, layer, big_data)
        shop.open_driver().create(
            NewLayer(
                id=layer.id,
                parent=layer.parent,
                writable=writable,
                mount_label=layer.mount_label,
                uid_map=layer.uid_map,
                gid_map=layer.gid_map,
            )
        )
        if shop.options.sync == "filesystem" and not volatile:
            atomicfile.sync_filesystem(shop.paths.layers)
        layer = layer._replace(flags=wanted.flags)
        tx.layers.put(layer)
        tx.layers.save()
    except BaseException:
        remove_layer(shop, tx, layer._replace(flags={**layer.flags, "incomplete": True}))
        raise
    return layer


def check_unused(tx: WriteTx, layer: Layer) -> None:
    """Raise an InUseError if a layer, an image or a container stands on *layer*."""
    what = f"layer {layer.id[:12]}"
    children = tx.layers.table.children(layer.id)
    if children:
        raise LayerHasChildrenError(what, [f"layer {child[:12]}" for child in children])
    images = [image for image in tx.images.table if image.layer == layer.id]
    if images:
        raise LayerInUseError(what, [f"image {image.id[:12]}" for image in images])
    container = tx.containers.table.by_layer.get(layer.id)
    if container is not None:
        raise LayerInUseError(what, [f"container {container.id[:12]}"])


def check_unmounted(shop: Workshop, tx: WriteTx, layer: Layer) -> None:
    """Raise MountedError if somebody has *layer* mounted, by the count and by the kernel."""
    with tx.mounts() as mounts:
        known = mounts.get(layer.id)
    if known is not None and in_use(shop, known.id, known.path):
        raise MountedError(
            f"layer {layer.id[:12]}", [f"{known.count} users at {known.path}"], remedy="unmount it"
        )


def in_use(shop: Workshop, layer: LayerID, path: str) -> bool:
    """Whether a recorded mount is real. Where mounts are plain directories it always is."""
    driver = shop.open_driver()
    return driver.is_mounted(path) or driver.diff_directory(layer) == path


def _add_items(shop: Workshop, layer: Layer, items: Iterable[tuple[str, bytes]]) -> Layer:
    keys = []
    for key, data in items:
        bigdata.write(os.path.join(shop.paths.layers, layer.id), key, data)
        keys.append(key)
    return layer._replace(big_data_names=tuple(dict.fromkeys(keys))) if keys else layer
