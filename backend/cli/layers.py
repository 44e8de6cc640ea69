"""``storagefs layers``.

Used by: backend.cli.command. Knows nothing of: files.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from operator import attrgetter
from typing import Final

from backend.cli.listing import Look, show
from backend.cli.output import human_size, human_time, short
from backend.cli.request import Request
from backend.model.records import Image, Layer
from backend.model.snapshot import Snapshot


def run(request: Request) -> int:
    """List all layers. JSON beats the tree, which beats IDs only."""
    snapshot = request.snapshot()
    if request.values.on("tree") and not request.json:
        request.output.lines(_tree(snapshot))
        return 1 if snapshot.layers.unread else 0
    return show(request, _LOOK, snapshot, snapshot.layers.records)


def _rows(snapshot: Snapshot, layers: Sequence[Layer]) -> Iterator[Sequence[str]]:
    users = _Users(snapshot)
    for layer in layers:
        size = human_size(layer.diff_size) if layer.diff_digest else "-"
        names = (*layer.names, *users.short_names(layer))
        parent = short(layer.parent or "-")
        yield short(layer.id), parent, human_time(layer.created), size, ", ".join(names)


def _plain(snapshot: Snapshot, layers: Sequence[Layer]) -> Iterator[str]:
    users = _Users(snapshot)
    for layer in layers:
        yield layer.id
        yield from (f"\tname: {name}" for name in layer.names)
        for image in users.images[layer.id]:
            yield f"\timage: {image.id}"
            yield from (f"\t\tname: {name}" for name in image.names)
        container = snapshot.containers.by_layer.get(layer.id)
        if container is not None:
            yield f"\tcontainer: {container.id}"
            yield from (f"\t\tname: {name}" for name in container.names)


class _Users:
    """The images whose top layer a layer is (mapped copies do not count, as in the Go tool)."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._containers = snapshot.containers
        self.images: defaultdict[str, list[Image]] = defaultdict(list)
        for image in snapshot.images:
            if image.layer:
                self.images[image.layer].append(image)

    def short_names(self, layer: Layer) -> Iterator[str]:
        for image in self.images[layer.id]:
            yield f"image {image.names[0] if image.names else short(image.id)}"
        container = self._containers.by_layer.get(layer.id)
        if container is not None:
            yield f"container {container.names[0] if container.names else short(container.id)}"


def _tree(snapshot: Snapshot) -> Iterator[str]:
    """Draw the tree; a layer without its parent stands at the base, so that it is seen."""
    users = _Users(snapshot)
    layers = snapshot.layers
    below: defaultdict[str, list[Layer]] = defaultdict(list)
    for layer in layers:
        parent = layer.parent if layer.parent and layer.parent in layers else ""
        below[parent].append(layer)
    if below:
        yield "(base)"
    pending = _siblings("", below[""])
    while pending:
        indent, last, layer = pending.pop()
        yield f"{indent}{'└─' if last else '├─'}{layer.id}"
        inner = indent + ("  " if last else "│ ")
        yield from (inner + note for note in _notes(layer, snapshot, users))
        pending += _siblings(inner, below.pop(layer.id, []))


def _siblings(indent: str, layers: Sequence[Layer]) -> list[tuple[str, bool, Layer]]:
    """Entries for a stack: the first layer on top."""
    marked = [(indent, number == len(layers), layer) for number, layer in enumerate(layers, 1)]
    return marked[::-1]


def _notes(layer: Layer, snapshot: Snapshot, users: _Users) -> Iterator[str]:
    yield from (f"name: {name}" for name in layer.names)
    mount = snapshot.mounts.get(layer.id)
    if mount is not None and mount.count:
        yield f"mount: {mount.path}"
    for image in users.images[layer.id]:
        yield f"image: {image.id}"
        yield from (f"image name: {name}" for name in image.names)
    container = snapshot.containers.by_layer.get(layer.id)
    if container is not None:
        yield f"container: {container.id}"
        yield from (f"container name: {name}" for name in container.names)


_LOOK: Final = Look(
    kind="layer",
    table=attrgetter("layers"),
    header=("LAYER", "PARENT", "CREATED", "SIZE", "USED BY"),
    rows=_rows,
    plain=_plain,
    empty=b"null",
)
