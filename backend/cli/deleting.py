"""Verbs that delete. All arguments are tried; the exit code says if one failed.

Used by: backend.cli.command. Knows nothing of: what may be deleted.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from backend.cli import kinds
from backend.cli.progress import Progress
from backend.cli.request import Request
from backend.errors import UnknownObjectError
from drivers.errors import StorageError
from drivers.ids import LayerID

if TYPE_CHECKING:
    from backend.store import Store


def anything(request: Request) -> int:
    """Delete objects of any kind, without asking who uses them."""
    return _each(request, lambda store, reference: store.delete(reference))


def layers(request: Request) -> int:
    """Delete layers that nothing stands on; what is mounted is unmounted."""
    return _each(request, lambda store, reference: store.layers.delete(reference, force=True))


def containers(request: Request) -> int:
    """Delete containers with their layers; what is mounted is unmounted."""
    return _each(request, lambda store, reference: store.containers.delete(reference, force=True))


def images(request: Request) -> int:
    """Delete images with the layers that nobody else needs, or only say which those are."""
    test = request.values.on("test")
    results: dict[str, tuple[Sequence[LayerID], str]] = {}
    with request.open_store(read_only=False) as store:
        for reference in request.line.arguments:
            gone: Sequence[LayerID] = ()
            failure = ""
            try:
                with Progress(request.output, "deleting").ticking():
                    gone = store.images.delete(reference, commit=not test)
            except (StorageError, OSError) as error:
                failure = _cause(error, reference, "image")
                _report(request, reference, failure, error)
            results[reference] = gone, failure
    if request.json:
        request.output.json({key: _members(*result) for key, result in results.items()}, sort=True)
    else:
        for reference, (gone, _) in results.items():
            request.output.lines(f"{reference}: {layer}" for layer in gone)
    return 1 if any(failure for _, failure in results.values()) else 0


def _members(gone: Sequence[LayerID], failure: str) -> dict[str, object]:
    found = {"deleted-layers": gone, "error": failure}
    return {name: value for name, value in found.items() if value}


def _each(request: Request, delete: Callable[["Store", str], object]) -> int:
    results: dict[str, str] = {}
    with request.open_store(read_only=False) as store:
        for reference in request.line.arguments:
            results[reference] = ""
            try:
                with Progress(request.output, "deleting").ticking():
                    delete(store, reference)
            except (StorageError, OSError) as error:
                results[reference] = _cause(error, reference, request.line.verb.kind)
                _report(request, reference, results[reference], error)
    if request.json:
        request.output.json(results, sort=True)
    return 1 if any(results.values()) else 0


def _cause(error: StorageError | OSError, reference: str, kind: str) -> str:
    """Why *reference* was not deleted; what is of another kind is not of this one."""
    if kind and isinstance(error, UnknownObjectError) and not error.ambiguous:
        return f"identifier is not {'an' if kind == 'image' else 'a'} {kind}"
    return kinds.cause(error, reference)


def _report(request: Request, reference: str, cause: str, error: StorageError | OSError) -> None:
    if not request.json:
        remedy = error.remedy if isinstance(error, StorageError) else ""
        request.output.error(f"{reference}: {cause}", remedy)
