"""How a container goes: its layer, its directories, its record at last.

Used by: backend.api.{containers,anykind}. Knows nothing of: who may delete what.
Crash table: backend/LOCKING.md.
"""

import os

from backend.api.removal import remove_layer
from backend.api.workshop import Workshop, component, save_freeing
from backend.model.records import Container
from backend.stores.transaction import WriteTx
from drivers.erase import erase_tree
from drivers.trash import TrashDirectory


def remove_container(shop: Workshop, tx: WriteTx, container: Container) -> None:
    """Remove it, mounted or not; layers and containers are locked.

    The record goes last, so that what fails can be tried again.
    """
    directory = component("container ID", container.id)
    layer = tx.layers.get(container.layer)
    if layer is not None:
        remove_layer(shop, tx, layer)
    trash = TrashDirectory(shop.trash_root)
    tx.afterwards.append(trash.erase)
    trash.take(os.path.join(shop.paths.containers, directory))
    erase_tree(os.path.join(shop.paths.run_containers, directory))
    tx.containers.drop(container.id)
    save_freeing(tx.containers, list(tx.afterwards))
