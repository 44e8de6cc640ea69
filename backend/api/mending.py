"""What opening a store puts right: contradictions between records, and half-made layers.

Used by: backend.store, after a snapshot that found something (Snapshots.need_mending).
Knows nothing of: how a layer is removed (backend.api.removal, the sweep).
"""

from backend.api.workshop import Workshop
from backend.stores.transaction import Kind


def mend(shop: Workshop) -> None:
    """Save what was put right in memory, and remove layers that nobody will finish."""
    with shop.writing(Kind.LAYERS, Kind.IMAGES, Kind.CONTAINERS) as tx:
        tx.layers.save()
        for images in tx.image_writers:
            images.save()
        tx.containers.save()
