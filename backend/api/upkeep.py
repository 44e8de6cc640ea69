"""Verbs on the store as a whole: shutdown, wipe, garbage collection, deduplication.

Used by: backend.store. Knows nothing of: how layers, images and containers are made.
Source: containers/storage store.go (Shutdown, Wipe, GarbageCollect, Dedup). Crash table:
backend/LOCKING.md.
"""

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from backend.api import imageremoval, orphans
from backend.api.containerremoval import remove_all
from backend.api.layers import in_use
from backend.api.removal import take_away
from backend.api.workshop import Workshop
from backend.codec.bigdataname import file_name
from backend.errors import InvalidValueError, MountedError
from backend.files.lockfile import locked
from backend.model.records import Container, Image, Layer, MountPoint
from backend.stores.transaction import Kind, WriteTx
from drivers.ids import LayerID
from drivers.linux import atomicfile
from drivers.powers import Dedup
from drivers.protocol import DedupMethod
from drivers.trash import TrashDirectory

_MADE_ID: Final = re.compile(r"[0-9a-f]{64}")


def shutdown(shop: Workshop, *, force: bool) -> Sequence[LayerID]:
    """Undo what opening and mounting did to the machine; return the layers unmounted for it.

    Raises MountedError, and changes nothing, while something is mounted, unless *force*. Other
    processes see by the token of the graph lock that they have to set the driver up again.
    """
    stores = shop.stores
    with (
        locked(stores.graph_lock, exclusive=True, seconds=stores.lock_seconds) as graph,
        shop.writing(Kind.LAYERS) as tx,
        tx.mounts() as mounts,
    ):
        mounted = [known for known in mounts.records if known.count > 0]
        real = [known for known in mounted if in_use(shop, known.id, known.path)]
        if real and not force:
            raise MountedError(
                "the store", _users(real), remedy="unmount them, or force the shutdown"
            )
        driver = shop.open_driver()
        for known in mounted:
            driver.unmount(known.id)
            mounts.drop(known.id)
        mounts.save()
        if graph is not None:
            graph.renew_token()
        driver.cleanup()
    return [known.id for known in real]


def wipe(shop: Workshop) -> None:
    """Delete every container, image and layer, mounted or not, and what the driver has besides.

    Containers go first and layers last, so that whatever a stop leaves can be used or deleted.
    """
    with shop.writing(Kind.LAYERS, Kind.IMAGES, Kind.CONTAINERS) as tx:
        remove_all(shop, tx)
        images = [image for writer in tx.image_writers for image in writer.records]
        imageremoval.drop(shop, tx, images, list(tx.layers.records))
        _collect(shop, tx, orphans.of(shop, tx).layers)


def collect_garbage(shop: Workshop) -> Sequence[str]:
    """Delete what has no record; return it, as IDs and paths.

    That is: layers that only the driver knows, directories of images and containers whose names
    are IDs as stores make them, and unfinished files. What is mounted stays mounted. Raises
    DamagedError, and deletes nothing, where records of layers were lost that others need.
    """
    with shop.writing(Kind.LAYERS, Kind.IMAGES, Kind.CONTAINERS) as tx:
        return _collect(shop, tx, orphans.garbage(shop, tx))


def _collect(shop: Workshop, tx: WriteTx, layers: Sequence[LayerID]) -> Sequence[str]:
    found: list[str] = []
    for layer in layers:
        take_away(shop, tx, layer)
        found.append(layer)
    trash = TrashDirectory(shop.trash_root)
    tx.afterwards.append(trash.erase)
    for path in _orphans(shop, tx):
        trash.take(path)
        found.append(path)
    return found


def dedup(shop: Workshop, method: DedupMethod) -> int:
    """Let equal files of image layers share their blocks; return the bytes that came free.

    Content does not change, and the kernel makes sure of it. 0 where the driver or the file
    system cannot.
    """
    driver = shop.open_driver()
    if not isinstance(driver, Dedup):
        return 0
    with shop.writing(Kind.LAYERS, Kind.IMAGES) as tx:
        layers = dict.fromkeys(
            layer.id
            for image in tx.images.records
            for top in (image.layer, *image.mapped_layers)
            for layer in tx.layers.table.chain(top or "")
        )
        return driver.dedup(list(layers), method)


def _users(mounted: Iterable[MountPoint]) -> list[str]:
    return [f"layer {known.id[:12]} at {known.path}" for known in mounted]


def _orphans(shop: Workshop, tx: WriteTx) -> Iterator[str]:
    """Directories of no object, files of no data item, what a dead process left unfinished."""
    image_records = [image for writer in tx.image_writers for image in writer.records]
    images = _items_of(image_records)
    containers = _items_of(tx.containers.records)
    layers = _items_of(tx.layers.records)
    for base, known, erasable in (
        (shop.paths.layers, layers, False),  # the driver says which are nobody's
        (shop.paths.images, images, True),
        (shop.paths.containers, containers, True),
    ):
        yield from _unfinished(base)
        for name in _names_in(base):
            path = os.path.join(base, name)
            if name in known:
                yield from _unfinished(path)
                yield from _unnamed(path, known[name])
            elif erasable and _MADE_ID.fullmatch(name) and os.path.isdir(path):
                yield path


def _items_of(records: Iterable[Layer | Image | Container]) -> dict[str, tuple[str, ...]]:
    return {record.id: record.big_data_names for record in records}


def _unfinished(directory: str) -> Iterator[str]:
    """Whoever writes such a file holds one of the locks that the caller has."""
    for name in _names_in(directory):
        if name.startswith(atomicfile.PREFIX):
            yield os.path.join(directory, name)


def _unnamed(directory: str, keys: Iterable[str]) -> Iterator[str]:
    """Data items that the record does not know, or not any more."""
    try:
        named = set(map(file_name, keys))
    except InvalidValueError:  # a record of a stranger: whose files these are is not known
        return
    for name in _names_in(directory):
        path = os.path.join(directory, name)
        if name not in named and not name.startswith(atomicfile.PREFIX) and os.path.isfile(path):
            yield path


def _names_in(directory: str) -> list[str]:
    return sorted(os.listdir(directory)) if os.path.isdir(directory) else []
