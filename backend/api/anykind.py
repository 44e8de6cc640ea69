"""Verbs on whatever a reference means.

Used by: backend.store. Knows nothing of: checks; what is deleted here is deleted whoever needs it.
Source: containers/storage store.go (Delete, Exists). Crash table: backend/LOCKING.md.
"""

from backend.api.containerremoval import remove_container
from backend.api.imageremoval import drop, records_of
from backend.api.removal import forget_mapped, remove_layer
from backend.api.workshop import Workshop
from backend.errors import LayerUnknownError, ReadOnlyStoreError
from backend.stores.transaction import Kind, WriteTx


def exists(shop: Workshop, reference: str) -> bool:
    """Whether a layer, an image or a container has this ID, name or unique prefix of an ID."""
    records = shop.fresh()
    tables = (records.layers, records.images, records.containers)
    return any(table.find(reference) is not None for table in tables)


def delete(shop: Workshop, reference: str) -> None:
    """Delete a container with its layer, else an image but not its layers, else a layer.

    Nothing is asked: not what stands on it, not whether it is mounted. Raises LayerUnknownError.
    """
    with shop.writing(Kind.LAYERS, Kind.IMAGES, Kind.CONTAINERS) as tx:
        container = tx.containers.table.find(reference)
        if container is not None:
            remove_container(shop, tx, container)
            return
        images = records_of(tx, reference)
        if images:
            drop(shop, tx, images, ())
            return
        layer = tx.layers.table.find(reference)
        if layer is None:
            raise _not_found(shop, tx, reference)
        forget_mapped(tx, layer.id)
        remove_layer(shop, tx, layer)


def _not_found(shop: Workshop, tx: WriteTx, reference: str) -> Exception:
    elsewhere = shop.all_images(tx).find(reference) or shop.all_layers(tx).find(reference)
    if elsewhere is not None:
        return ReadOnlyStoreError(f"the store that has {elsewhere.id[:12]}")
    ambiguous = len(tx.layers.table.with_prefix(reference)) > 1
    return LayerUnknownError(reference, ambiguous=ambiguous)
