"""Where each object stands in the tree: names of directories, targets of links (pure).

Used by: every node that points at an object, fusefs.difference.
Knows nothing of: nodes. One place per directory: every other name of it is a symlink.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from backend.model.records import Container
from backend.model.snapshot import ContainerTable
from fusefs.nodes.base import node_ino
from fusefs.nodes.derived import in_order, once_per
from fusefs.nodes.names import LONGEST, encode

LAYERS: Final = node_ino("layers")
CONTAINERS: Final = node_ino("containers")
"""Inode numbers of the listings of objects that have one; for images see nametree."""

LAYER_LISTINGS: Final = (b"by-link", b"by-digest", b"by-name")
IMAGE_LISTINGS: Final = (b"by-id", b"by-digest", b"dangling")
CONTAINER_LISTINGS: Final = (b"by-id",)


def layer_component(layer: str) -> bytes:
    """Name of a layer's directory in ``layers/``."""
    return encode(layer, reserved=LAYER_LISTINGS)


def layer_path(layer: str) -> bytes:
    """Path of a layer's directory from the root of the tree."""
    return b"layers/" + layer_component(layer)


def image_path(image: str) -> bytes:
    """Path of an image's directory from the root of the tree."""
    return b"images/by-id/" + encode(image)


def up(depth: int, path: bytes) -> bytes:
    """Target of a link to *path* from a directory *depth* levels below the root."""
    return b"../" * depth + path


@dataclass(frozen=True, slots=True)
class ContainerNames:
    """Names in ``containers/``: of directories, of the symlinks beside them."""

    directories: Mapping[bytes, str]
    aliases: Mapping[bytes, str]
    place: Mapping[str, bytes]
    """Container ID to the name of its directory; a container whose name is taken has none."""


@once_per
def container_names(table: ContainerTable) -> ContainerNames:
    """Name containers: the first name, or the ID where there is none; names go before IDs."""
    directories: dict[bytes, str] = {}
    aliases: dict[bytes, str] = {}
    nameless: list[Container] = []
    for container in in_order(table):
        components = [
            component
            for name in container.names
            if table.by_name.get(name) is container
            and len(component := encode(name, reserved=CONTAINER_LISTINGS)) <= LONGEST
        ]
        if not components:
            nameless.append(container)
            continue
        directories[components[0]] = container.id
        aliases.update(dict.fromkeys(components[1:], container.id))
    for container in nameless:
        component = encode(container.id, reserved=CONTAINER_LISTINGS)
        if component not in aliases:
            directories.setdefault(component, container.id)
    place = {identifier: component for component, identifier in directories.items()}
    return ContainerNames(directories, aliases, place)


def container_path(table: ContainerTable, container: str) -> bytes:
    """Path of a container's directory from the root of the tree."""
    place = container_names(table).place.get(container)
    return b"containers/" + (place if place is not None else encode(container))
