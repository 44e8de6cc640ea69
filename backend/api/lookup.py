"""Which object a reference means (no I/O).

Used by: backend.api. The order is the Go tools': ID, name, (a container's layer,)
unique prefix of an ID.
"""

from typing import TypeVar

from backend.errors import (
    ContainerUnknownError,
    ImageUnknownError,
    LayerUnknownError,
    UnknownObjectError,
)
from backend.model.records import Container, Image, Layer
from backend.model.snapshot import ContainerTable, ImageTable, LayerTable, Table
from backend.stores.named import Named
from drivers.ids import LayerID

R = TypeVar("R", bound=Named)


def find(table: Table[R], reference: str, unknown: type[UnknownObjectError]) -> R:
    """The object, or *unknown* with word of whether the reference is ambiguous.

    Where not all records could be read, the error is the reason for that.
    """
    found = table.find(reference)
    if found is None and table.unread is not None:
        raise table.unread.with_traceback(None)  # it is raised again and again
    if found is None:
        raise unknown(reference, ambiguous=len(table.with_prefix(reference)) > 1)
    return found


def layer(table: LayerTable, reference: str) -> Layer:
    """The layer. Raises LayerUnknownError."""
    return find(table, reference, LayerUnknownError)


def base_of(table: LayerTable, of: Layer, base: str | None) -> LayerID | None:
    """What a layer is compared with: its parent, unless another *base* is given."""
    return layer(table, base).id if base else of.parent


def image(table: ImageTable, reference: str) -> Image:
    """The image. Raises ImageUnknownError."""
    return find(table, reference, ImageUnknownError)


def container(table: ContainerTable, reference: str) -> Container:
    """The container. Raises ContainerUnknownError."""
    return find(table, reference, ContainerUnknownError)
