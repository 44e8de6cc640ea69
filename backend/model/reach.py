"""What records refer to and do not find, and records that cannot be used as they are (pure).

Used by: backend.stores.whole. Knows nothing of: files; whether directories exist is for the driver.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from backend.model.snapshot import ContainerTable, ImageTable, LayerTable, Problem, Table
from drivers.ids import no_path_components


def contradictions(
    layers: LayerTable, images: ImageTable, containers: ContainerTable
) -> Iterator[Problem]:
    """Each thing that is wrong between the records of a store, or with one record's ID.

    What may be among records that could not be read is not missing.
    """
    every: Iterable[tuple[str, Table[Any]]] = (
        ("layer", layers),
        ("image", images),
        ("container", containers),
    )
    for kind, table in every:
        for identifier in no_path_components(table.by_id):
            reason = f"its ID {identifier!r} cannot be the name of a directory"
            yield Problem(kind, identifier, table.by_id[identifier].location, reason, _MEND)
    yield from _layers(layers)
    yield from _images(images, layers)
    yield from _containers(containers, images, layers)


def without_records(
    layers: LayerTable, images: ImageTable, containers: ContainerTable
) -> frozenset[str]:
    """IDs of the layers that records name, and that have no record of their own."""
    named = {layer.parent for layer in layers}
    named.update(top for image in images for top in (image.layer, *image.mapped_layers))
    named.update(container.layer for container in containers)
    return frozenset(name for name in named if name and name not in layers)


_MEND = "take the record out by hand while nothing uses the store"
_AGAIN = "delete the images and containers on it and pull the image again"


def _layers(layers: LayerTable) -> Iterator[Problem]:
    missing = {layer.parent for layer in layers} - layers.by_id.keys() - {None}
    if missing and not layers.unread:
        for layer in [each for each in layers if each.parent in missing]:
            reason = f"its parent {layer.parent} is not known"
            yield Problem("layer", layer.id, layer.location, reason, _AGAIN)
    for layer in layers.incomplete:
        reason, remedy = "half made or half deleted", "the next change of the store removes it"
        yield Problem("layer", layer.id, layer.location, reason, remedy)


def _images(images: ImageTable, layers: LayerTable) -> Iterator[Problem]:
    for image in images:
        if image.layer and image.layer not in layers and not layers.unread:
            reason = f"its layer {image.layer} is not known"
            remedy = f"delete image {image.id[:12]} and pull it again"
            yield Problem("image", image.id, image.location, reason, remedy)


def _containers(
    containers: ContainerTable, images: ImageTable, layers: LayerTable
) -> Iterator[Problem]:
    for container in containers:
        remedy = f"delete container {container.id[:12]}"
        if container.layer not in layers and not layers.unread:
            reason = f"its layer {container.layer} is not known"
            yield Problem("container", container.id, container.location, reason, remedy)
        if container.image and container.image not in images and not images.unread:
            reason = f"its image {container.image} is not known"
            yield Problem("container", container.id, container.location, reason, remedy)
