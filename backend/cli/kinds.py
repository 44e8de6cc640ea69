"""The three kinds of objects, for verbs that exist once a kind or take any.

Used by: backend.cli. Knows nothing of: what a verb does.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from backend.errors import (
    ContainerUnknownError,
    ImageUnknownError,
    LayerUnknownError,
    UnknownObjectError,
    of_system,
)
from backend.model.records import Container, Image, Layer
from backend.model.snapshot import Snapshot, Table
from drivers.errors import StorageError

if TYPE_CHECKING:
    from backend.api.containers import Containers
    from backend.api.images import Images
    from backend.api.layers import Layers
    from backend.store import Store

Record = Layer | Image | Container

KINDS: Final = ("layer", "image", "container")
"""In the order in which a verb that takes any kind looks for it."""

_UNKNOWN: Final[dict[str, type[UnknownObjectError]]] = {
    "layer": LayerUnknownError,
    "image": ImageUnknownError,
    "container": ContainerUnknownError,
}


def table(snapshot: Snapshot, kind: str) -> Table[Any]:
    """All objects of a kind."""
    if kind == "layer":
        return snapshot.layers
    return snapshot.images if kind == "image" else snapshot.containers


def verbs(store: "Store", kind: str) -> "Layers | Images | Containers":
    """What can be done with objects of a kind."""
    if kind == "layer":
        return store.layers
    return store.images if kind == "image" else store.containers


def find(snapshot: Snapshot, reference: str, kinds: Sequence[str] = KINDS) -> tuple[str, Record]:
    """The first kind that knows *reference*, and the object.

    Raises LayerUnknownError where several kinds were possible, as the Go tool does, and
    RecordFileError where it may be in records that could not be read.
    """
    tables = [table(snapshot, kind) for kind in kinds]
    for kind, objects in zip(kinds, tables, strict=True):
        record: Record | None = objects.find(reference)
        if record is not None:
            return kind, record
    for objects in tables:
        if objects.unread is not None:
            raise objects.unread
    raise _UNKNOWN[kinds[0] if len(kinds) == 1 else "layer"](reference)


def encode(kind: str, records: Sequence[Any]) -> bytes:
    """Objects of a kind as the JSON array of the Go tool."""
    from backend.codec import recordfiles

    if kind == "layer":
        return recordfiles.LAYERS.encode(records)
    if kind == "image":
        return recordfiles.IMAGES.encode(records)
    return recordfiles.CONTAINERS.encode(records)


def cause(error: StorageError | OSError, reference: str) -> str:
    """*error* as text behind ``REFERENCE: ``, which it may begin with itself."""
    if isinstance(error, OSError):
        return of_system(error)
    return str(error).removeprefix(f"{reference}: ")
