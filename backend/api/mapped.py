"""Which layer a container of an image stands on: the top layer, or a copy with other owners.

Used by: backend.api.{containermaking,precopied,imagemounts}. Knows nothing of: who chose them.
Source: containers/storage store.go (imageTopLayerForMapping). Crash table: backend/LOCKING.md.
"""

from collections.abc import Iterator
from typing import NamedTuple

from backend.api.idmaps import Maps, maps_of, recorded, shifts
from backend.api.making import make_layer
from backend.api.removal import remove_layer
from backend.api.workshop import Workshop
from backend.errors import LayerUnknownError
from backend.model.records import Image, Layer
from backend.stores.transaction import WriteTx
from drivers.idmap.maps import IDMap
from drivers.ids import LayerID, generate_id


class WantedOwners(NamedTuple):
    """Whose IDs the files must have. The host's are wanted where ``host_uids`` says so."""

    maps: Maps = Maps()
    host_uids: bool = False
    host_gids: bool = False

    @classmethod
    def of(
        cls,
        uid_map: tuple[IDMap, ...],
        gid_map: tuple[IDMap, ...],
        *,
        host_uids: bool,
        host_gids: bool,
    ) -> "WantedOwners":
        """A map of the host wins over one that is given."""
        maps = Maps(() if host_uids else uid_map, () if host_gids else gid_map)
        return cls(maps, host_uids, host_gids)


def top_layer(shop: Workshop, tx: WriteTx, image: Image, wanted: WantedOwners) -> Layer:
    """Find, or make, the top layer of *image* with the owners *wanted*; layers and images locked.

    A new copy is noted in the image's record. Where image or layer are in an additional store
    nothing is copied: the layer returned may have other owners. Raises LayerUnknownError.
    """
    fitting = fitting_layer(shop, tx, image, wanted)
    if fitting is not None:
        return fitting
    first, own = next(_candidates(shop, tx, image), None), tx.images.get(image.id)
    if first is None:
        raise LayerUnknownError(image.layer or "")
    if own is None or first.read_only:
        return first
    return _copy(shop, tx, own, first, wanted)


def fitting_layer(shop: Workshop, tx: WriteTx, image: Image, wanted: WantedOwners) -> Layer | None:
    """The top layer of *image*, or the mapped copy, that has the owners *wanted*."""
    candidates = _candidates(shop, tx, image)
    return next((layer for layer in candidates if _fits(shop, layer, wanted)), None)


def _candidates(shop: Workshop, tx: WriteTx, image: Image) -> Iterator[Layer]:
    """Top layer and mapped copies whose parents are there; the store's own layers first."""
    every = shop.all_layers(tx)
    known = [every.get(layer) for layer in (image.layer, *image.mapped_layers) if layer]
    usable = [layer for layer in known if layer and (not layer.parent or layer.parent in every)]
    yield from (layer for layer in usable if not layer.read_only)
    yield from (layer for layer in usable if layer.read_only)


def _fits(shop: Workshop, layer: Layer, wanted: WantedOwners) -> bool:
    if maps_of(layer) == Maps() and shifts(shop, wanted.maps):
        return True
    if (wanted.host_uids and layer.uid_map) or (wanted.host_gids and layer.gid_map):
        return False
    return maps_of(layer) == wanted.maps


def _copy(shop: Workshop, tx: WriteTx, image: Image, layer: Layer, wanted: WantedOwners) -> Layer:
    maps = recorded(shop, wanted.maps)
    copy = make_layer(
        shop,
        tx,
        Layer(
            id=LayerID(generate_id()),
            parent=layer.parent,
            mount_label=layer.mount_label,
            uid_map=maps.uid,
            gid_map=maps.gid,
        ),
        writable=False,
        template=layer,
    )
    try:
        tx.images.add_mapped(image.id, copy.id)
        tx.images.save()
    except BaseException:
        remove_layer(shop, tx, copy)
        raise
    return copy
