"""Data items of an object, and the directories where its maker keeps files.

Used by: backend.cli.command. Knows nothing of: where items are.
"""

from backend.cli import kinds
from backend.cli.inputs import source, target
from backend.cli.request import Request
from backend.errors import BigDataUnknownError
from drivers.errors import StorageError


def list_items(request: Request) -> int:
    """Show the names of the items in the order in which they came."""
    _, record = kinds.find(request.snapshot(), request.line.arguments[0], (request.line.verb.kind,))
    if request.json:
        request.output.json(record.big_data_names or None)
    else:
        request.output.lines(record.big_data_names)
    return 0


def get_item(request: Request) -> int:
    """Write one item as it is. A file is made or emptied only when there is an item."""
    reference, key = request.line.arguments
    kind = request.line.verb.kind
    with request.open_store() as store:
        _, record = kinds.find(store.snapshot(), reference, (kind,))
        try:
            data = kinds.verbs(store, kind).big_data(record.id, key)
        except BigDataUnknownError as unknown:
            raise StorageError(f"{kind} {record.id}: {unknown}", remedy=unknown.remedy) from None
    with target(request) as file:
        file.write(data)
    return 0


def set_item(request: Request) -> int:
    """Make or replace one item with what is read."""
    reference, key = request.line.arguments
    kind = request.line.verb.kind
    with request.open_store(read_only=False) as store:
        _, record = kinds.find(store.snapshot(), reference, (kind,))
        with source(request.values) as file:
            data = file.read()
        kinds.verbs(store, kind).set_big_data(record.id, key, data)
    return 0


def item_size(request: Request) -> int:
    """Show how many bytes an item has."""
    reference, key = request.line.arguments
    with request.open_store() as store:
        verbs = store.images if request.line.verb.kind == "image" else store.containers
        return _value(request, verbs.big_data_size(reference, key))


def item_digest(request: Request) -> int:
    """Show the digest of an item."""
    reference, key = request.line.arguments
    with request.open_store() as store:
        verbs = store.images if request.line.verb.kind == "image" else store.containers
        return _value(request, verbs.big_data_digest(reference, key))


def directory(request: Request) -> int:
    """Show the directory for files; it is made if it is not there."""
    with request.open_store(read_only=False) as store:
        verbs = store.images if request.line.verb.kind == "image" else store.containers
        return _value(request, verbs.directory(request.line.arguments[0]))


def run_directory(request: Request) -> int:
    """Show the directory for files that need not survive a reboot; it is made likewise."""
    with request.open_store(read_only=False) as store:
        verbs = store.images if request.line.verb.kind == "image" else store.containers
        return _value(request, verbs.run_directory(request.line.arguments[0]))


def _value(request: Request, value: int | str) -> int:
    if request.json:
        request.output.json(value)
    else:
        request.output.lines([str(value)])
    return 0
