"""Who owns the directories above a mounted layer that its own map of IDs does not know.

Used by: backend.api.layers, containers. Knows nothing of: how a layer is mounted.
Source: containers/storage layers.go (ParentOwners).
"""

import os
from typing import NamedTuple

from backend.api.workshop import Workshop
from backend.errors import NotMountedError
from backend.model.records import Layer
from drivers.idmap.maps import to_container
from drivers.ids import LayerID


class Owners(NamedTuple):
    """Host IDs, sorted."""

    uids: tuple[int, ...] = ()
    gids: tuple[int, ...] = ()


def of_layer(shop: Workshop, layer: Layer) -> Owners:
    """Owners above the place where *layer* is mounted, up to the root of the file system.

    None for a layer without maps. Raises NotMountedError.
    """
    if not layer.uid_map and not layer.gid_map:
        return Owners()
    uids: set[int] = set()
    gids: set[int] = set()
    directory = os.path.dirname(_mount_point(shop, layer.id))
    while directory not in ("/", ""):
        for status in (os.stat(directory), os.lstat(directory)):
            if to_container(status.st_uid, layer.uid_map) is None:
                uids.add(status.st_uid)
            if to_container(status.st_gid, layer.gid_map) is None:
                gids.add(status.st_gid)
        directory = os.path.dirname(directory)
    return Owners(tuple(sorted(uids)), tuple(sorted(gids)))


def _mount_point(shop: Workshop, layer: LayerID) -> str:
    known = shop.snapshots.cached().mounts.get(layer)
    if known is None:
        raise NotMountedError(f"layer {layer[:12]}")
    return known.path
