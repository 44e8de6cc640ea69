"""The names of all images as nested directories (pure).

Used by: fusefs.nodes.images, fusefs.difference. Knows nothing of: nodes, what is only looked up.
"""

import os
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from backend.model.snapshot import ImageTable
from fusefs.nodes.base import Ino, node_ino
from fusefs.nodes.derived import in_order, once_per
from fusefs.nodes.names import LONGEST, encode, reference_parts
from fusefs.nodes.places import IMAGE_LISTINGS

Path = tuple[bytes, ...]

IMAGES_BY_ID: Final = node_ino("images", "/by-id")
"""No component has a slash, so this is no directory of names."""


def names_ino(path: Path) -> Ino:
    """Inode number of a directory of image names."""
    return node_ino("images", *(os.fsdecode(part) for part in path))


@dataclass(frozen=True, slots=True)
class ImageName:
    """A symlink in the nested tree: one name of one image."""

    image: str
    name: str


Level = Mapping[bytes, ImageName | None]
"""Components in one directory; None stands for a directory below it."""

NO_NAMES: Final[Level] = MappingProxyType({})


@once_per
def name_levels(table: ImageTable) -> Mapping[Path, Level]:
    """Directories of names, by their path below ``images/``; the root is the empty path.

    Full references are nested at their slashes; any other name is one component of the root.
    """
    levels: defaultdict[Path, dict[bytes, ImageName | None]] = defaultdict(dict)
    opaque: list[ImageName] = []
    for name, image in table.by_name.items():
        parts = reference_parts(name)
        if parts is None:
            opaque.append(ImageName(image.id, name))
            continue
        path = tuple(part.encode() for part in parts)
        for depth in range(1, len(path)):
            levels[path[: depth - 1]][path[depth - 1]] = None
        levels[path[:-1]][path[-1]] = ImageName(image.id, name)
    root = levels[()]
    taken = {*root, *IMAGE_LISTINGS}
    for entry in opaque:
        component = encode(entry.name, reserved=taken)
        if len(component) <= LONGEST:
            root[component] = entry
    return {path: dict(sorted(level.items())) for path, level in levels.items()}


@once_per
def dangling(table: ImageTable) -> tuple[str, ...]:
    """IDs of the images that no name leads to."""
    named = {image.id for image in table.by_name.values()}
    return tuple(image.id for image in in_order(table) if image.id not in named)
