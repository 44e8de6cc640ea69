"""How a container goes: its layer, its directories, its record at last.

Used by: backend.api.{containers,anykind,repair,upkeep}. Knows nothing of: who may delete what.
Crash table: backend/LOCKING.md.
"""

import os
from collections.abc import Sequence

from backend.api.removal import remove_layers
from backend.api.workshop import Workshop, component, save_freeing
from backend.model.records import Container
from backend.stores.transaction import WriteTx
from drivers.erase import erase_tree
from drivers.trash import TrashDirectory


def remove_container(shop: Workshop, tx: WriteTx, container: Container) -> None:
    """Remove it, mounted or not; layers and containers are locked.

    The record goes last, so that what fails can be tried again.
    """
    _remove(shop, tx, (container,))


def remove_all(shop: Workshop, tx: WriteTx) -> None:
    """Remove every container."""
    _remove(shop, tx, list(tx.containers.records))


def _remove(shop: Workshop, tx: WriteTx, containers: Sequence[Container]) -> None:
    directories = [component("container ID", container.id) for container in containers]
    layers = [tx.layers.get(container.layer) for container in containers]
    remove_layers(shop, tx, [layer for layer in layers if layer is not None])
    trash = TrashDirectory(shop.trash_root)
    tx.afterwards.append(trash.erase)
    for directory in directories:
        trash.take(os.path.join(shop.paths.containers, directory))
        erase_tree(os.path.join(shop.paths.run_containers, directory))
    for container in containers:
        tx.containers.drop(container.id)
    save_freeing(tx.containers, list(tx.afterwards))
