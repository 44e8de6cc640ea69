"""Copying the record of an image into the store itself, out of a store that is only read.

Used by: backend.api.images, when such an image gets other names or is made again.
Knows nothing of: layers; they stay where they are. Source: containers/storage store.go
(updateNames, CreateImage).
"""

from collections.abc import Iterator
from typing import Final

from backend.api.workshop import Workshop
from backend.errors import DamagedError, InvalidValueError
from backend.files import bigdata
from backend.model.records import Image
from backend.stores.transaction import WriteTx

_LARGEST_ITEM: Final = 64 << 20

Item = tuple[str, bytes, str | None]
"""Key, data, digest."""


def elsewhere(shop: Workshop, tx: WriteTx, reference: str) -> Image | None:
    """The image in a store that is only read; None if there is none, or the store itself has it."""
    if not shop.stores.more_images:
        return None
    found = shop.all_images(tx).find(reference)
    return None if found is None or tx.images.get(found.id) is not None else found


def copied(shop: Workshop, tx: WriteTx, image: Image) -> Image:
    """The record of *image* for the store itself, without items and without names in use there."""
    taken = tx.images.table.by_name
    return Image(
        id=image.id,
        digest=image.digest,
        names=tuple(name for name in image.names if name not in taken),
        names_history=image.names_history,
        layer=image.layer,
        metadata=image.metadata,
        created=image.created,
        flags=image.flags,
        location=shop.stores.images.files[0].path,
    )


def items_of(image: Image, directory: str) -> Iterator[Item]:
    """The data items of *image*, one after the other, from the *directory* that they are in.

    Raises DamagedError for one that is missing, and InvalidValueError for one of another kind
    than manifests, configurations and signatures are: too large to be held in memory.
    """
    for key in image.big_data_names:
        try:
            size = bigdata.size(directory, key)
            if size > _LARGEST_ITEM:
                reason = f"it has {size} bytes; at most {_LARGEST_ITEM} are copied"
                raise InvalidValueError("data item", key, reason, remedy="pull the image instead")
            data = bigdata.read(directory, key)
        except FileNotFoundError:
            path = bigdata.path_of(directory, key)
            reason = f"item {key!r} has no file"
            raise DamagedError(f"image {image.id[:12]}", path, reason) from None
        yield key, data, image.big_data_digests.get(key)
