"""How a layer goes: record out, rename away, erase outside the locks.

Used by: what deletes or replaces layers in backend.api; backend.store, as the sweep of every write
section.
Knows nothing of: who may delete what. Crash table: backend/LOCKING.md.
"""

import os
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from itertools import chain

from backend.api.workshop import Workshop, save_freeing
from backend.model.records import Layer
from backend.stores.transaction import WriteTx
from drivers.ids import LayerID, is_path_component
from drivers.trash import TrashDirectory, recover_stale


def remove_layer(shop: Workshop, tx: WriteTx, layer: Layer) -> None:
    """Delete *layer*, mounted or not. Its files are erased when the locks have been given back."""
    remove_layers(shop, tx, (layer,))


def forget_mapped(tx: WriteTx, layer: LayerID) -> None:
    """Take *layer* out of the mapped copies of every image: it is about to go."""
    for images in tx.image_writers:
        images.forget_mapped(layer)
        images.save()


def remove_layers(shop: Workshop, tx: WriteTx, layers: Sequence[Layer]) -> None:
    """Delete *layers*; their records go at once, before anything on disk is touched."""
    if not layers:
        return
    for layer in layers:
        take_down(shop, tx, layer.id)
    names = [layer.id for layer in layers if is_path_component(layer.id)]
    shop.stores.unsettled.add(names)
    for layer in layers:
        tx.layers.drop(layer.id)
    save_freeing(tx.layers, chain.from_iterable(content_of(shop, layer) for layer in layers))
    for layer in layers:
        take_away(shop, tx, layer.id)
    shop.stores.unsettled.clear(names)


def take_away(shop: Workshop, tx: WriteTx, layer: LayerID) -> None:
    """Rename all that is on disk of *layer* into the trash; it is erased after the locks."""
    if not is_path_component(layer):
        return
    driver, trash = shop.open_driver(), TrashDirectory(shop.trash_root)
    driver_trash = TrashDirectory(driver.new_trash_root(layer))
    tx.afterwards += [driver_trash.erase, trash.erase]
    driver.remove(layer, driver_trash)
    for path in _files_of(shop, layer):
        trash.take(path)


def take_down(shop: Workshop, tx: WriteTx, layer: LayerID) -> None:
    """Unmount, whatever the count says."""
    with tx.mounts() as mounts:
        known = mounts.get(layer)
        if known is not None:
            shop.open_driver().unmount(layer)
            mounts.drop(layer)
            mounts.save()


def content_of(shop: Workshop, layer: Layer) -> Iterable[Callable[[], None]]:
    """Ways to make room at the expense of a layer that is being deleted, the cheapest first."""
    if not is_path_component(layer.id):
        return

    def erase_driver_part() -> None:
        driver = shop.open_driver()
        trash = TrashDirectory(driver.new_trash_root(layer.id))
        driver.remove(layer.id, trash)
        trash.erase()

    from drivers.erase import erase_tree

    for path in _files_of(shop, layer.id):
        yield partial(erase_tree, path)
    yield erase_driver_part


def sweep(shop: Workshop, tx: WriteTx) -> None:
    """Remove layers that are half made or half deleted, and what waits in the trash.

    Whoever worked on them is gone: their maker would hold the lock that we hold. A layer that
    others stand on stays until they are gone, so that the sweep of any set of layers succeeds.
    """
    tx.afterwards += [partial(recover_stale, root) for root in shop.trash_roots]
    _settle(shop, tx)
    half_done = tx.layers.table.incomplete
    for layer in sorted(half_done, key=lambda layer: -_depth(tx, layer)):
        if not tx.layers.table.children(layer.id):
            remove_layer(shop, tx, layer)


def _settle(shop: Workshop, tx: WriteTx) -> None:
    """Take away what a dead process had made, or not yet taken away, of layers without a record."""
    found = shop.stores.unsettled.find()
    for layer in map(LayerID, found):
        if tx.layers.get(layer) is None:
            take_away(shop, tx, layer)
    if found:
        shop.stores.unsettled.clear(found)


def _depth(tx: WriteTx, layer: Layer) -> int:
    return len(tx.layers.table.chain(layer.id))


def _files_of(shop: Workshop, layer: LayerID) -> tuple[str, str]:
    return shop.paths.tar_split(layer), os.path.join(shop.paths.layers, layer)
