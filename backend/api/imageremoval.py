"""How an image goes: its record, then what is on disk of it; and which layers go with it.

Used by: backend.api.{images,anykind,repair,upkeep}. Knows nothing of: who may delete what.
Source: containers/storage store.go (DeleteImage). Crash table: backend/LOCKING.md.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial

from backend.api.removal import content_of, remove_layers
from backend.api.workshop import Workshop, save_freeing
from backend.model.records import Image, Layer
from backend.stores.transaction import WriteTx
from drivers.erase import erase_tree
from drivers.ids import is_path_component
from drivers.trash import TrashDirectory


def records_of(tx: WriteTx, reference: str) -> Sequence[Image]:
    """The record of one image in each store of images that may be changed; maybe none."""
    found = next(filter(None, (images.table.find(reference) for images in tx.image_writers)), None)
    if found is None:
        return ()
    records = (images.get(found.id) for images in tx.image_writers)
    return [record for record in records if record is not None]


def drop(shop: Workshop, tx: WriteTx, records: Sequence[Image], layers: Sequence[Layer]) -> None:
    """Remove *records*, then *layers* that go with them, then what is on disk of the images.

    On a full disk that, and the content of the layers, makes the room to save.
    """
    places = [place for record in records for place in _directories(shop, record)]
    for images in tx.image_writers:
        for record in records:
            if images.get(record.id) is not None:
                images.drop(record.id)
        save_freeing(images, _freeing(shop, places, layers))
    remove_layers(shop, tx, layers)
    for record in records:
        if is_path_component(record.id):
            running = os.path.join(shop.paths.run_images, record.id)
            tx.afterwards.append(partial(erase_tree, running))
    trashes = {root: TrashDirectory(root) for _, root in places}
    tx.afterwards += [trash.erase for trash in trashes.values()]
    for path, root in places:
        trashes[root].take(path)


def unneeded_layers(tx: WriteTx, records: Sequence[Image]) -> Sequence[Layer]:
    """Layers of an image that nothing else stands on, in the order to delete them.

    Its mapped copies, then its top layer and upward, until one is a container's, another image's
    or another layer's. A layer that is missing or in an additional store is nobody's to delete.
    *records* are those of one image in several stores.
    """
    found = dict[str, Layer]()
    for record in records:
        for copy in record.mapped_layers:
            layer = tx.layers.get(copy)
            if layer is not None and not _is_needed(tx, layer, record, found):
                found[layer.id] = layer
        for layer in tx.layers.table.chain(record.layer or ""):
            if layer.id not in found:
                if _is_needed(tx, layer, record, found):
                    break
                found[layer.id] = layer
    return tuple(found.values())


def _is_needed(tx: WriteTx, layer: Layer, image: Image, going: dict[str, Layer]) -> bool:
    users = (user for images in tx.image_writers for user in images.table.with_top(layer.id))
    return (
        any(user != image.id for user in users)
        or any(child not in going for child in tx.layers.table.children(layer.id))
        or layer.id in tx.containers.table.by_layer
    )


def _directories(shop: Workshop, image: Image) -> Iterator[tuple[str, str]]:
    """What is on disk of an image, each with the trash on its file system."""
    if not is_path_component(image.id):
        return
    base = os.path.dirname(image.location)
    beside = base == shop.paths.graph_images
    yield os.path.join(base, image.id), shop.trash_root if beside else shop.image_trash_root
    if not beside:
        yield os.path.join(shop.paths.graph_images, image.id), shop.trash_root


def _freeing(
    shop: Workshop, places: Iterable[tuple[str, str]], layers: Sequence[Layer]
) -> Iterator[Callable[[], None]]:
    for path, _ in places:
        yield partial(erase_tree, path)
    for layer in layers:
        yield from content_of(shop, layer)
