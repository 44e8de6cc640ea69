"""Names and metadata of an object of any kind.

Used by: backend.cli.command. Knows nothing of: files.
"""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from backend.cli import kinds
from backend.cli.inputs import metadata_of
from backend.cli.request import Request
from backend.errors import InvalidValueError, UnknownObjectError
from drivers.errors import StorageError

if TYPE_CHECKING:
    from backend.api.containers import Containers
    from backend.api.images import Images
    from backend.api.layers import Layers

_Naming = Callable[["Layers | Images | Containers"], Callable[[str, Iterable[str]], kinds.Record]]


def get_names(request: Request) -> int:
    """Show the names, one a line."""
    _, record = kinds.find(request.snapshot(), request.line.arguments[0])
    if request.json:
        request.output.json(record.names)
    else:
        request.output.lines(record.names)
    return 0


def add_names(request: Request) -> int:
    """Put names in front of those that it has."""
    return _rename(request, lambda verbs: verbs.add_names)


def remove_names(request: Request) -> int:
    """Take names away from it."""
    return _rename(request, lambda verbs: verbs.remove_names)


def set_names(request: Request) -> int:
    """Give it exactly these names; none at all if none is given."""
    return _rename(request, lambda verbs: verbs.set_names)


def metadata(request: Request) -> int:
    """Show the metadata of each argument, without its last newline; nothing of an unknown one."""
    snapshot = request.snapshot()
    found: dict[str, str] = {}
    quiet = request.values.on("quiet")
    for reference in request.line.arguments:
        try:
            found[reference] = kinds.find(snapshot, reference)[1].metadata.removesuffix("\n")
        except UnknownObjectError:
            continue
    if request.json:
        request.output.json(found, sort=True)
    else:
        for reference in request.line.arguments:
            text = found.get(reference, "")
            request.output.lines([text if quiet else f"{reference}: {text}"])
    return 0 if all(reference in found for reference in request.line.arguments) else 1


def set_metadata(request: Request) -> int:
    """Replace the metadata; an empty file makes it empty."""
    values = request.values
    if not values.text("metadata-file") and not values.text("metadata"):
        raise InvalidValueError(
            "metadata", "", "there is none", remedy="give --metadata or --metadata-file"
        )
    text = metadata_of(values)
    (reference,) = request.line.arguments
    with request.open_store(read_only=False) as store:
        try:
            kind, record = kinds.find(store.snapshot(), reference)
        except UnknownObjectError:
            reason = f"{reference}: identifier is not a layer, image, or container"
            raise StorageError(reason) from None
        kinds.verbs(store, kind).set_metadata(record.id, text)
    return 0


def _rename(request: Request, verb: _Naming) -> int:
    names = request.values.items("name")
    with request.open_store(read_only=False) as store:
        kind, record = kinds.find(store.snapshot(), request.line.arguments[0])
        renamed: kinds.Record = verb(kinds.verbs(store, kind))(record.id, names)
    if request.json:
        request.output.json(renamed.names or None)
    return 0
