"""Mounting an image: its top layer with the owners that the files have in the image, read-only.

Used by: backend.api.images. Knows nothing of: how mounts are counted (backend.api.mounts).
Source: containers/storage store.go (MountImage, UnmountImage).
"""

from collections.abc import Sequence

from backend.api import lookup
from backend.api.idmaps import Maps, maps_of
from backend.api.mapped import WantedOwners, top_layer
from backend.api.mounts import attach, detach
from backend.api.workshop import Workshop
from backend.errors import InvalidValueError, LayerUnknownError, ReadOnlyStoreError
from backend.model.records import Image, Layer
from backend.stores.transaction import Kind, WriteTx
from drivers.protocol import MountRequest


def mount(shop: Workshop, reference: str, options: Sequence[str], label: str) -> str:
    """Mount the image, or count one more user; return the path."""
    if "rw" in options:
        raise InvalidValueError(
            "mount option", "rw", "an image is mounted read-only", remedy="make a container of it"
        )
    with shop.writing(Kind.GRAPH, Kind.LAYERS, Kind.IMAGES) as tx:
        layer = _canonical(shop, tx, lookup.image(shop.all_images(tx), reference))
        return attach(
            shop,
            tx,
            layer.id,
            lambda: MountRequest(
                layer=layer.id,
                read_only=True,
                options=(*options, "ro"),
                mount_label=label or layer.mount_label,
            ),
        )


def unmount(shop: Workshop, reference: str, *, force: bool) -> bool:
    """Count one user less, all of them with *force*; True if it is really unmounted then."""
    with shop.writing(Kind.GRAPH, Kind.LAYERS, Kind.IMAGES) as tx:
        image = lookup.image(shop.all_images(tx), reference)
        copies = [tx.layers.get(copy) for copy in image.mapped_layers]
        canonical = (copy.id for copy in copies if copy and maps_of(copy) == Maps())
        layer = next(canonical, image.layer)
        if layer is None:
            raise _without_layers(image)
        return detach(shop, tx, layer, force=force)


def _canonical(shop: Workshop, tx: WriteTx, image: Image) -> Layer:
    if image.layer is None:
        raise _without_layers(image)
    layer = top_layer(shop, tx, image, WantedOwners(host_uids=True, host_gids=True))
    if layer.read_only or maps_of(layer) != Maps():
        raise ReadOnlyStoreError(
            f"the store that has the layers of image {image.id[:12]}",
            remedy="make a container of the image and mount that",
        )
    return layer


def _without_layers(image: Image) -> LayerUnknownError:
    return LayerUnknownError(f"top layer of image {image.id[:12]}")
