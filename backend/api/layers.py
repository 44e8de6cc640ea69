"""Verbs on layers.

Used by: backend.store (as Store.layers).
Durable steps and what a crash between them leaves: backend/LOCKING.md. What only some verbs need
is imported by them: a command does one thing, and its start is most of what it takes.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, BinaryIO, Unpack

from backend.api import lookup
from backend.api.idmaps import Maps, maps_below, maps_of
from backend.api.objects import Objects
from backend.api.workshop import Workshop, component
from backend.errors import (
    InvalidValueError,
    LayerHasChildrenError,
    LayerInUseError,
    LayerUnknownError,
    MountedError,
)
from backend.model import digest as digests
from backend.model.records import Layer
from backend.model.snapshot import LayerTable, Snapshot
from backend.stores.layers import LayerWriter
from backend.stores.transaction import Kind, WriteTx
from drivers.idmap.maps import IDMap
from drivers.ids import LayerID, generate_id
from drivers.protocol import Change, NewLayer

if TYPE_CHECKING:
    from backend.api.diffs import Archive, DiffStream
    from backend.api.owners import Owners
    from backend.api.planning import LayerOptions
    from drivers.archive.compression import Compression


class Layers(Objects[Layer]):
    """Layers of the store."""

    kind = Kind.LAYERS
    word = "layer"
    unknown = LayerUnknownError

    def create(self, *, writable: bool = True, **about: Unpack[LayerOptions]) -> Layer:
        """Make an empty layer."""
        from backend.api import staging
        from backend.api.planning import LayerRequest

        return staging.create(self._shop, LayerRequest.of(about, writable=writable))

    def put(
        self,
        source: BinaryIO,
        *,
        writable: bool = False,
        original_digest: str = "",
        original_size: int = -1,
        uncompressed_digest: str = "",
        expected_digest: str = "",
        expected_diff_digest: str = "",
        **about: Unpack[LayerOptions],
    ) -> Layer:
        """Make a layer out of the tar archive *source*, compressed or not; all of it or nothing.

        The archive is read and unpacked before any lock is taken. The ``original`` values and
        *uncompressed_digest* are believed, the ``expected`` digests (of the archive as it comes,
        and uncompressed) checked. Raises ArchiveError, DiskFullError, UnpackFailedError.
        """
        from backend.api import putting
        from backend.api.applying import Hints
        from backend.api.planning import LayerRequest

        hints = Hints(
            original_digest=original_digest,
            original_size=original_size,
            uncompressed_digest=uncompressed_digest,
            expected_digest=expected_digest,
            expected_diff_digest=expected_diff_digest,
        )
        request = LayerRequest.of(about, writable=writable)
        return putting.put(self._shop, request, source, hints)

    def apply_diff(self, reference: str, source: BinaryIO) -> Layer:
        """Unpack the tar archive *source* over what a layer has; its digests are replaced.

        A stop in between leaves a part of it, and a record without digests. Where the layer is
        mounted new files show up; of replaced ones the kernel may show the old content.
        """
        from backend.api import putting

        def editable(tx: WriteTx) -> Layer:
            return self._editable(tx.layers, reference)

        return putting.apply_diff(self._shop, editable, source)

    def delete(self, reference: str, *, force: bool = False) -> None:
        """Delete a layer that nothing stands on; with *force* also one that is mounted.

        A copy of an image's top layer for other IDs may go: the image forgets it first.
        """
        from backend.api.removal import forget_mapped, remove_layer

        with self._shop.writing(Kind.LAYERS, Kind.IMAGES, Kind.CONTAINERS) as tx:
            layer = self._editable(tx.layers, reference)
            check_unused(tx, layer)
            if not force:
                check_unmounted(self._shop, tx, layer)
            forget_mapped(tx, layer.id)
            remove_layer(self._shop, tx, layer)

    def set_flags(self, reference: str, flags: Mapping[str, Any]) -> Layer:
        """Replace the flags as a whole."""
        from backend.api.planning import check_flags

        check_flags(flags)
        new = dict(flags)
        return self._change(reference, lambda layer: layer._replace(flags=new))

    def changes(self, reference: str, base: str | None = None) -> Sequence[Change]:
        """What the layer does to its parent, or to the layer *base*; sorted by path."""
        layer, below, maps = self._sides(reference, base)
        driver = self._shop.open_driver()
        return driver.changes(layer.id, below, maps=maps_of(layer), parent_maps=maps)

    def diff(
        self, reference: str, base: str | None = None, *, compression: Compression | None = None
    ) -> DiffStream:
        """What the layer adds to its parent, or to *base*, as an archive; close it.

        Against its parent, a layer that was put comes back uncompressed to the byte. Without
        *compression* it is compressed as it came. Raises UnsupportedCompressionError for bzip2
        and xz, LayerUnknownError at the end if the layer was deleted under way.
        """
        from backend.api.diffs import open_diff

        return open_diff(self._shop, reference, base, compression)

    def archive(self, reference: str) -> Archive | None:
        """The uncompressed archive that the layer was made of, to be read at any offset.

        None where it cannot be put together again to the byte: then :meth:`diff` makes one.
        """
        from backend.api.diffs import open_archive

        return open_archive(self._shop, reference)

    def archive_size(self, layer: Layer) -> int:
        """How long :meth:`archive` is, from the record and a look at the disk; -1 if there is none.

        Takes no lock.
        """
        known = layer.diff_size >= 0 and layer.diff_digest
        return layer.diff_size if known and os.path.isfile(self._shop.tar_split(layer)) else -1

    def diff_size(self, reference: str, base: str | None = None) -> int:
        """How many bytes are in the files that the layer adds to its parent, or to *base*."""
        layer, below, maps = self._sides(reference, base)
        driver = self._shop.open_driver()
        return driver.diff_size(layer.id, below, maps=maps_of(layer), parent_maps=maps)

    def size(self, reference: str) -> int:
        """Length of the uncompressed archive that the layer was made of; -1 if not known."""
        layer = self.find(reference)
        return layer.diff_size if layer.diff_digest or layer.toc_digest else -1

    def by_compressed_digest(self, digest: str) -> Sequence[Layer]:
        """Layers made of the archive with this digest. Raises LayerUnknownError for none."""
        return _found(self._shop.fresh().layers.by_compressed_digest, digest)

    def by_uncompressed_digest(self, digest: str) -> Sequence[Layer]:
        """The same for the digest of the uncompressed archive."""
        return _found(self._shop.fresh().layers.by_uncompressed_digest, digest)

    def by_toc_digest(self, digest: str) -> Sequence[Layer]:
        """The same for the table of contents of a layer that was pulled in part."""
        return _found(self._shop.fresh().layers.by_toc_digest, digest)

    def parent_owners(self, reference: str) -> Owners:
        """Owners above the layer's mount point that its own ID maps do not know.

        Nobody for a layer without maps. Raises NotMountedError.
        """
        from backend.api import owners

        return owners.of_layer(self._shop, self.find(reference))

    def driver_layers(self) -> Sequence[LayerID]:
        """IDs that the driver has directories for, with and without a record."""
        return self._shop.open_driver().list_layers()

    def create_driver_layer(
        self,
        *,
        id: str | None = None,  # noqa: A002 - the field's own name
        parent: str | None = None,
        writable: bool = True,
        mount_label: str = "",
        uid_map: tuple[IDMap, ...] = (),
        gid_map: tuple[IDMap, ...] = (),
    ) -> LayerID:
        """Make the directories of a layer without a record, for looking at a driver by itself.

        Nothing happens if they are there. *parent* is a full ID.
        """
        new = NewLayer(
            id=LayerID(component("layer ID", id if id is not None else generate_id())),
            parent=LayerID(parent) if parent else None,
            writable=writable,
            mount_label=mount_label,
            uid_map=uid_map,
            gid_map=gid_map,
        )
        with self._shop.writing(Kind.LAYERS):
            driver = self._shop.open_driver()
            if not driver.exists(new.id):
                driver.create(new)
        return new.id

    def _sides(self, reference: str, base: str | None) -> tuple[Layer, LayerID | None, Maps]:
        """A layer, what it is compared with (*base*, or else its parent), and the maps of that."""
        layers = self._shop.fresh().layers
        layer = lookup.layer(layers, reference)
        below = lookup.base_of(layers, layer, base)
        return layer, below, maps_below(layers, below)

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

    def _with_unknown_item(self, record: Layer, key: str) -> Layer:
        del key
        return record  # says nothing but the name

    def _without_item(self, record: Layer, key: str) -> Layer:
        keys = tuple(known for known in record.big_data_names if known != key)
        return record._replace(big_data_names=keys)


def _found(index: Mapping[str, Sequence[Layer]], digest: str) -> Sequence[Layer]:
    if not digests.is_valid(digest):
        raise InvalidValueError("digest", digest, "it is not ALGORITHM:HEX as the Go tools want it")
    layers = index.get(digest)
    if not layers:
        raise LayerUnknownError(digest)
    return layers


def check_unused(tx: WriteTx, layer: Layer) -> None:
    """Raise an InUseError if a layer, an image or a container stands on *layer*."""
    what = f"layer {layer.id[:12]}"
    children = tx.layers.table.children(layer.id)
    if children:
        raise LayerHasChildrenError(what, [f"layer {child[:12]}" for child in children])
    images = [
        image
        for writer in tx.image_writers
        for image in writer.table.with_top(layer.id)
        if writer.table.by_id[image].layer == layer.id
    ]
    if images:
        raise LayerInUseError(what, [f"image {image[:12]}" for image in images])
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
    """Whether a recorded mount is real. A plain directory is, as long as it is there."""
    driver = shop.open_driver()
    if driver.is_mounted(path):
        return True
    return driver.exists(layer) and driver.diff_directory(layer) == path
