"""Verbs on images.

Used by: backend.store (as Store.images).
Durable steps and what a crash between them leaves: backend/LOCKING.md.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from backend.api import lookup
from backend.api.items import with_item, without_item
from backend.api.objects import Objects, checked_names
from backend.api.removal import content_of, remove_layer
from backend.api.workshop import component, save_freeing, storable
from backend.codec import gotime
from backend.errors import (
    DuplicateIDError,
    ImageInUseError,
    ImageUnknownError,
    InvalidValueError,
)
from backend.files import bigdata
from backend.model import digest as digests
from backend.model.records import EMPTY, Image, ImageID, Layer
from backend.model.snapshot import ImageTable, Snapshot
from backend.stores.images import ImageWriter
from backend.stores.transaction import Kind, WriteTx
from drivers.erase import erase_tree
from drivers.ids import LayerID, generate_id
from drivers.trash import TrashDirectory


class Images(Objects[Image]):
    """Images of the store."""

    kind = Kind.IMAGES
    word = "image"
    unknown = ImageUnknownError

    def create(
        self,
        *,
        id: str | None = None,  # noqa: A002 - the field's own name
        names: Iterable[str] = (),
        layer: str | None = None,
        metadata: str = "",
        digest: str = "",
        created: str | None = None,
        big_data: Iterable[tuple[str, bytes, str | None]] = (),
        names_history: Iterable[str] = (),
        flags: Mapping[str, Any] = EMPTY,
    ) -> Image:
        """Make an image on the top *layer*, or one without layers.

        *big_data* are (key, data, digest or None for SHA-256); they are on disk before the record.
        """
        items = tuple(big_data)
        for key, _, _ in items:
            self._check_key(key)
        with self._shop.writing(Kind.LAYERS, Kind.IMAGES) as tx:
            top = lookup.layer(self._shop.all_layers(tx), layer).id if layer else None
            image = Image(
                id=ImageID(component("image ID", id if id is not None else generate_id())),
                digest=_valid(digest),
                names=tx.images.claim_names(checked_names(names)),
                names_history=tuple(dict.fromkeys(names_history)),
                layer=top,
                metadata=storable("metadata", metadata),
                created=_moment(created),
                flags=flags,
                location=self._shop.stores.images.files[0].path,
            )
            if tx.images.get(image.id) is not None:
                raise DuplicateIDError("image", image.id)
            return self._record(tx, image, items)

    def delete(self, reference: str) -> Sequence[LayerID]:
        """Delete an image, and the layers that nothing needs any more; return those."""
        with self._shop.writing(Kind.LAYERS, Kind.IMAGES, Kind.CONTAINERS) as tx:
            image = self._editable(tx.images, reference)
            users = tx.containers.table.of_image(image.id)
            if users:
                raise ImageInUseError(
                    f"image {image.id[:12]}",
                    [f"container {user[:12]}" for user in users],
                    remedy="delete them first",
                )
            unneeded = unneeded_layers(tx, image)
            trash = TrashDirectory(self._shop.trash_root)
            directory = self._items_directory(image)
            tx.images.drop(image.id)
            save_freeing(tx.images, self._freeing(directory, unneeded))
            tx.afterwards.append(trash.erase)
            trash.take(directory)
            for layer in unneeded:
                remove_layer(self._shop, tx, layer)
            return [layer.id for layer in unneeded]

    def _record(
        self, tx: WriteTx, image: Image, items: Sequence[tuple[str, bytes, str | None]]
    ) -> Image:
        directory = self._items_directory(image)
        try:
            for key, data, digest in items:
                bigdata.write(directory, key, data)
                image = self._with_item(image, key, data, digest)
            tx.images.put(image)
            tx.images.save()
        except BaseException:
            erase_tree(directory)
            raise
        return tx.images.table.by_id[image.id]

    def _freeing(self, directory: str, unneeded: Sequence[Layer]) -> Iterable[Callable[[], None]]:
        yield partial(erase_tree, directory)
        for layer in unneeded:
            yield from content_of(self._shop, layer)

    def _table(self, snapshot: Snapshot) -> ImageTable:
        return snapshot.images

    def _writer(self, tx: WriteTx) -> ImageWriter:
        return tx.images

    def _directory(self) -> str:
        return self._shop.paths.images

    def _with_item(self, record: Image, key: str, data: bytes, digest: str | None) -> Image:
        return with_item(record, key, data, _valid(digest or ""))

    def _without_item(self, record: Image, key: str) -> Image:
        return without_item(record, key)


def unneeded_layers(tx: WriteTx, image: Image) -> Sequence[Layer]:
    """Layers of *image* that nothing else stands on, in the order to delete them.

    Its mapped copies, then its top layer and upward, until one is a container's, another image's
    or another layer's. A layer that is missing or in an additional store is nobody's to delete.
    """
    table, found = tx.layers.table, dict[str, Layer]()
    for mapped in (*image.mapped_layers, *(layer.id for layer in table.chain(image.layer or ""))):
        layer = table.get(mapped)
        if layer is None:
            continue
        others = [user for user in tx.images.table.with_top(layer.id) if user != image.id]
        children = [child for child in table.children(layer.id) if child not in found]
        if others or children or layer.id in tx.containers.table.by_layer:
            if mapped in image.mapped_layers:
                continue
            break
        found[layer.id] = layer
    return tuple(found.values())


def _valid(digest: str) -> str:
    if digest and not digests.is_valid(digest):
        raise InvalidValueError("digest", digest, "it is not ALGORITHM:HEX as the Go tools want it")
    return digest


def _moment(created: str | None) -> str:
    if created is None:
        return gotime.now()
    if not gotime.is_valid(created):
        raise InvalidValueError("creation time", created, "it is no RFC 3339 time")
    return created
