"""Copying what a container stands on before any lock is taken, where the driver copies for that.

Used by: backend.api.containermaking. Knows nothing of: the container's record, mapped copies.
Nobody waits for a lock meanwhile; whether the copy is still the right one is looked at again.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import NamedTuple

from backend.api import staging
from backend.api.idmaps import maps_of
from backend.api.making import as_new
from backend.api.mapped import WantedOwners, fitting_layer
from backend.api.workshop import Workshop
from backend.model.records import Layer
from backend.stores.transaction import Kind
from drivers.errors import StorageError
from drivers.ids import LayerID
from drivers.protocol import StagedLayer


class Copied(NamedTuple):
    """The content of the layer ``below``, for a container's own layer; its owners are the same."""

    below: Layer
    staged: StagedLayer

    def serves(self, layer: Layer, below: Layer | None) -> bool:
        """Whether it is the content of the new *layer*, which stands on *below*."""
        return below == self.below and maps_of(layer) == maps_of(self.below)

    def fill(self, layer: Layer) -> Layer:
        """Put it in place as the content of the new *layer*."""
        self.staged.commit()
        return layer


@contextmanager
def precopied(
    shop: Workshop, image: str, owners: WantedOwners, new: LayerID, *, volatile: bool
) -> Iterator[Copied | None]:
    """Copy the layer of *image* with these *owners* for the layer *new*; what is not used goes.

    None where there is nothing to copy: because owners have to be changed first, or because there
    is no such image, which will be said later.
    """
    below = _below(shop, image, owners)
    with ExitStack() as held:
        staged = None if below is None else _staged(shop, below, new, held)
        if staged is None or below is None:
            yield None
            return
        if not volatile:
            staging.flush(shop, staged)
        yield Copied(below, staged)


def _below(shop: Workshop, image: str, owners: WantedOwners) -> Layer | None:
    with shop.writing(Kind.LAYERS, Kind.IMAGES) as tx:
        source = shop.all_images(tx).find(image)
        layer = fitting_layer(shop, tx, source, owners) if source and source.layer else None
        return layer if layer is None or maps_of(layer) == owners.maps else None


def _staged(shop: Workshop, below: Layer, new: LayerID, held: ExitStack) -> StagedLayer | None:
    wanted = Layer(id=new, parent=below.id, uid_map=below.uid_map, gid_map=below.gid_map)
    try:
        staged = shop.open_driver().stage(as_new(wanted, writable=True))
    except (OSError, StorageError):
        if below.id in shop.fresh().layers:
            raise
        return None  # deleted meanwhile
    held.callback(staged.discard)
    return staged
