"""Verbs on images.

Used by: backend.store (as Store.images). Knows nothing of: how an image is mounted or goes.
Durable steps and what a crash between them leaves: backend/LOCKING.md.
"""

import itertools
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from backend.api import imagemounts, lookup, usage
from backend.api.attached import Attached, withdrawn_on_failure
from backend.api.imageremoval import drop, records_of, unneeded_layers
from backend.api.objects import checked_names
from backend.api.pullup import Item, copied, elsewhere, items_of
from backend.api.workshop import component, storable
from backend.codec import gotime
from backend.errors import DuplicateIDError, ImageInUseError, ImageUnknownError, InvalidValueError
from backend.files import bigdata
from backend.model import digest as digests
from backend.model.records import EMPTY, Image, ImageID
from backend.model.snapshot import ImageTable, Snapshot
from backend.stores.images import ImageWriter
from backend.stores.transaction import Kind, WriteTx
from drivers.ids import LayerID, generate_id


class Images(Attached[Image]):
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
        An image that a store which is only read has under this *id* is the start: names, history
        and items are added to its own, the rest replaces its own where it is given.
        """
        wanted = Image(
            id=ImageID(component("image ID", id if id is not None else generate_id())),
            digest=_valid(digest),
            names=checked_names(names),
            names_history=tuple(names_history),
            metadata=storable("metadata", metadata),
            created="" if created is None else _moment(created),
            flags=flags,
            location=self._shop.stores.images.files[0].path,
        )
        items = tuple(big_data)
        for key, _, given in items:
            self._check_key(key)
            _valid(given or "")
        with self._shop.writing(Kind.LAYERS, Kind.IMAGES) as tx:
            top = lookup.layer(self._shop.all_layers(tx), layer).id if layer else None
            if tx.images.get(wanted.id) is not None:
                raise DuplicateIDError("image", wanted.id)
            wanted = wanted._replace(layer=top, names=tx.images.claim_names(wanted.names))
            base = elsewhere(self._shop, tx, wanted.id)
            if base is None or base.id != wanted.id:
                return self._record(
                    tx, wanted._replace(created=wanted.created or gotime.now()), items
                )
            start = copied(self._shop, tx, base)
            every = itertools.chain(self._items_of(base), items)
            return self._record(tx, _over(start, wanted), every, add_names=start.names)

    def set_big_data(
        self, reference: str, key: str, data: bytes, digest: str | None = None
    ) -> Image:
        """Make or replace one data item; its *digest* is the SHA-256 of *data* unless given.

        A signed manifest of docker's first format needs one: it is not that of all its bytes.
        """
        return self._set_item(reference, key, data, _valid(digest or ""))

    def by_digest(self, digest: str) -> Sequence[Image]:
        """Images with this digest, or with a manifest of it; none is no error."""
        images = self._shop.fresh().images
        return [images.by_id[found] for found in images.by_digest.get(_valid(digest), ())]

    def by_top_layer(self, reference: str) -> Sequence[Image]:
        """Images whose top layer, or a mapped copy of it, is the layer."""
        snapshot = self._shop.fresh()
        layer = lookup.layer(snapshot.layers, reference)
        return [snapshot.images.by_id[found] for found in snapshot.images.with_top(layer.id)]

    def size(self, reference: str) -> int:
        """Bytes of its layers and of its data items."""
        snapshot = self._shop.fresh()
        image = lookup.image(snapshot.images, reference)
        items = sum(self.big_data_size(image.id, key) for key in image.big_data_names)
        return items + usage.layers_of_image(self._shop, snapshot.layers, image)

    def mount(self, reference: str, options: Sequence[str] = (), label: str = "") -> str:
        """Mount it read-only, with the owners that its files have; return the path."""
        return imagemounts.mount(self._shop, reference, options, label)

    def unmount(self, reference: str, *, force: bool = False) -> bool:
        """Undo :meth:`mount`, for all users with *force*; True if it is really unmounted then."""
        return imagemounts.unmount(self._shop, reference, force=force)

    def delete(self, reference: str, *, commit: bool = True) -> Sequence[LayerID]:
        """Delete an image, and the layers that nothing needs any more; return those.

        Without *commit* nothing happens: it is only said what would go.
        """
        with self._shop.writing(Kind.LAYERS, Kind.IMAGES, Kind.CONTAINERS) as tx:
            records = records_of(tx, reference) or [self._editable(tx.images, reference)]
            users = tx.containers.table.of_image(records[0].id)
            if users:
                raise ImageInUseError(
                    f"image {records[0].id[:12]}",
                    [f"container {user[:12]}" for user in users],
                    remedy="delete them first",
                )
            unneeded = unneeded_layers(tx, records)
            if commit:
                drop(self._shop, tx, records, unneeded)
            return [layer.id for layer in unneeded]

    def _record(
        self, tx: WriteTx, image: Image, items: Iterable[Item], add_names: Sequence[str] = ()
    ) -> Image:
        """Write the items, then the record with them; *add_names* may be taken from others."""
        directory = self._items_directory(image)
        written: list[str] = []
        with withdrawn_on_failure(directory, written):
            for key, data, digest in items:
                written.append(key)
                bigdata.write(directory, key, data)
                image = self._with_item(image, key, data, digest)
            tx.images.put(image)
            if add_names:
                tx.images.rename(image, (*add_names, *image.names))
            tx.images.save()
        return tx.images.table.by_id[image.id]

    def _to_rename(self, tx: WriteTx, reference: str) -> Image:
        """An image of a store that is only read is copied first."""
        own = tx.images.table.find(reference)
        base = None if own is not None else elsewhere(self._shop, tx, reference)
        if base is None:
            return self._editable(tx.images, reference)
        return self._record(tx, copied(self._shop, tx, base), self._items_of(base))

    def _items_of(self, image: Image) -> Iterable[Item]:
        return items_of(image, self._items_directory(image))

    def _table(self, snapshot: Snapshot) -> ImageTable:
        return snapshot.images

    def _writer(self, tx: WriteTx) -> ImageWriter:
        return tx.images

    def _items_directory(self, record: Image) -> str:
        """Beside the record, whichever store has it."""
        return os.path.join(os.path.dirname(record.location), component("image ID", record.id))

    def _user_base(self) -> str:
        return self._shop.paths.graph_images

    def _run_base(self) -> str:
        return self._shop.paths.run_images


def _over(start: Image, wanted: Image) -> Image:
    """*start* with what is given in *wanted*; the names are only those of *wanted*."""
    return start._replace(
        digest=wanted.digest or start.digest,
        names=wanted.names,
        names_history=(*start.names_history, *wanted.names_history),
        layer=wanted.layer,
        metadata=wanted.metadata or start.metadata,
        created=wanted.created or start.created,
        flags=wanted.flags,
    )


def _valid(digest: str) -> str:
    if digest and not digests.is_valid(digest):
        raise InvalidValueError("digest", digest, "it is not ALGORITHM:HEX as the Go tools want it")
    return digest


def _moment(created: str) -> str:
    if not gotime.is_valid(created):
        raise InvalidValueError("creation time", created, "it is no RFC 3339 time")
    return created
