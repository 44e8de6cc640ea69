"""How many bytes an image or a container takes.

Used by: backend.api.{images,containers}. Knows nothing of: records that are being changed.
Source: containers/storage store.go (ImageSize, ContainerSize), pkg/directory.
"""

import os
import stat
from collections.abc import Iterable

from backend.api.idmaps import maps_below, maps_of
from backend.api.workshop import Workshop
from backend.errors import LayerUnknownError
from backend.model.records import Image, Layer
from backend.model.snapshot import LayerTable


def layers_of_image(shop: Workshop, layers: LayerTable, image: Image) -> int:
    """Bytes of the layers that the image, or a mapped copy of its top, stands on; each once.

    Raises LayerUnknownError if one is missing.
    """
    found: dict[str, Layer] = {}
    for top in filter(None, (image.layer, *image.mapped_layers)):
        below: str | None = top
        while below and below not in found:
            layer = layers.get(below)
            if layer is None:
                raise LayerUnknownError(below)
            found[below] = layer
            below = layer.parent
    return sum(_recorded_size(shop, layers, layer) for layer in found.values())


def layer_on_disk(shop: Workshop, layers: LayerTable, layer: Layer) -> int:
    """Bytes of the files that the layer adds to its parent, each inode once."""
    maps = maps_below(layers, layer.parent)
    return shop.open_driver().diff_size(
        layer.id, layer.parent, maps=maps_of(layer), parent_maps=maps
    )


def directories(paths: Iterable[str]) -> int:
    """Bytes of all files below *paths*, each inode of one path once; missing ones have none."""
    return sum(_directory(path) for path in paths)


def _recorded_size(shop: Workshop, layers: LayerTable, layer: Layer) -> int:
    """The size counts only where a digest stands beside it."""
    if layer.diff_digest and layer.diff_size != -1:
        return layer.diff_size
    return layer_on_disk(shop, layers, layer)


def _directory(top: str) -> int:
    sizes: dict[int, int] = {}
    waiting = [top]
    while waiting:
        try:
            with os.scandir(waiting.pop()) as entries:
                found = [entry for entry in entries if entry.inode() not in sizes]
        except FileNotFoundError:
            continue
        for entry in found:
            try:
                status = entry.stat(follow_symlinks=False)
            except FileNotFoundError:
                continue
            if stat.S_ISDIR(status.st_mode):
                waiting.append(entry.path)
            else:
                sizes[status.st_ino] = status.st_size
    return sum(sizes.values())
