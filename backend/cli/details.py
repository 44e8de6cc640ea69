"""``storagefs layer``, ``image`` and ``container``: what is known of single objects.

Used by: backend.cli.command. Knows nothing of: files.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

from backend.cli.kinds import encode, find
from backend.cli.request import Request
from backend.errors import UnknownObjectError, of_system
from backend.model.records import Container, Image, Layer
from backend.model.snapshot import Snapshot, image_digests
from drivers.errors import StorageError
from drivers.idmap.maps import IDMap

if TYPE_CHECKING:
    from backend.store import Store


def run(request: Request) -> int:
    """Show those that are there. The exit code says if one is not; a person is told which."""
    kind, output = request.line.verb.kind, request.output
    with request.open_store() as store:
        snapshot = store.snapshot()
        found: list[Any] = []
        for reference in request.line.arguments:
            try:
                found.append(find(snapshot, reference, (kind,))[1])
            except UnknownObjectError as unknown:
                if output.terminal:
                    output.error(str(unknown))
        if request.json:
            output.encoded(encode(kind, found))
        else:
            for record in found:
                output.lines(_LINES[kind](store, snapshot, record))
    return 0 if len(found) == len(request.line.arguments) else 1


def _layer(store: "Store", snapshot: Snapshot, layer: Layer) -> Iterator[str]:
    del store, snapshot
    yield f"ID: {layer.id}"
    yield from _maps("UID", layer.uid_map)
    yield from _maps("GID", layer.gid_map)
    if layer.parent:
        yield f"Parent: {layer.parent}"
    yield from _named(layer.names)
    if layer.read_only:
        yield "Read Only: true"


def _image(store: "Store", snapshot: Snapshot, image: Image) -> Iterator[str]:
    del snapshot
    yield f"ID: {image.id}"
    yield from _named(image.names)
    yield from (f"Top Layer: {layer}" for layer in (image.layer or "", *image.mapped_layers))
    yield from (f"Digest: {digest}" for digest in image_digests(image))
    yield from (f"Data: {key}" for key in image.big_data_names)
    yield _size(lambda: store.images.size(image.id))
    if image.read_only:
        yield "Read Only: true"


def _container(store: "Store", snapshot: Snapshot, container: Container) -> Iterator[str]:
    yield f"ID: {container.id}"
    yield from _named(container.names)
    yield f"Image: {container.image}"
    image = snapshot.images.get(container.image)
    if image is not None:
        yield from (f"Image name: {name}" for name in image.names)
    yield _size(lambda: store.containers.size(container.id))
    yield f"Layer: {container.layer}"
    yield from (f"Data: {key}" for key in container.big_data_names)


_LINES: Final[dict[str, Callable[["Store", Snapshot, Any], Iterator[str]]]] = {
    "layer": _layer,
    "image": _image,
    "container": _container,
}


def _named(names: Sequence[str]) -> Iterator[str]:
    return (f"Name: {name}" for name in names)


def _maps(word: str, ranges: Sequence[IDMap]) -> Iterator[str]:
    for inside, outside, number in ranges:
        yield f"{word} mapping: (container={inside}, host={outside}, size={number})"


def _size(compute: Callable[[], int]) -> str:
    """A line about the size; a damaged part does not hide what else is known."""
    try:
        return f"Size: {compute()}"
    except StorageError as error:
        return f"Size unknown: {error}"
    except OSError as error:
        return f"Size unknown: {of_system(error)}"
