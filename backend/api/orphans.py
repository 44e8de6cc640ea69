"""Directories of layers that have no record: garbage, or all that is left of lost records.

Used by: backend.api.{check,repair,upkeep}. Knows nothing of: how they are removed.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

from backend.api.workshop import Workshop
from backend.errors import DamagedError
from backend.model.reach import without_records
from backend.model.snapshot import ContainerTable, ImageTable, LayerTable
from backend.stores.transaction import WriteTx
from drivers.ids import LayerID

REASON: Final = "records that others need are not in it"
REMEDY: Final = "restore the file from a backup, or delete what needs its layers"


class Orphans(NamedTuple):
    """``layers`` are all of them; of ``needed`` other records say that they stand on them.

    Where some are needed, records were lost, and nobody can tell whose the others are.
    """

    layers: Sequence[LayerID]
    needed: Sequence[LayerID]


def find(
    shop: Workshop, layers: LayerTable, images: ImageTable, containers: ContainerTable
) -> Orphans:
    """What the driver has beside the layers of these records."""
    found = [layer for layer in shop.open_driver().list_layers() if layer not in layers]
    named = without_records(layers, images, containers) if found else frozenset()
    on_their_way = shop.stores.unsettled.find() if named else ()
    return Orphans(found, [layer for layer in found if layer in named.difference(on_their_way)])


def of(shop: Workshop, tx: WriteTx) -> Orphans:
    """The same for the records as *tx* has them; layers, images and containers are locked."""
    return find(shop, tx.layers.table, shop.all_images(tx), tx.containers.table)


def garbage(shop: Workshop, tx: WriteTx) -> Sequence[LayerID]:
    """Those that may be removed. Raises DamagedError or RecordFileError where records were lost."""
    if tx.layers.table.unread:
        raise tx.layers.table.unread.with_traceback(None)
    found = of(shop, tx)
    if found.needed:
        raise DamagedError(
            f"layer {found.needed[0][:12]}", record_file(shop), REASON, remedy=REMEDY
        )
    return found.layers


def record_file(shop: Workshop) -> str:
    """Where the records of layers should be."""
    return shop.stores.layers.files[0].path
