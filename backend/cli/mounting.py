"""Mounting layers, containers and images at their place in the driver's home.

Used by: backend.cli.command, fusefs.mountverb, fusefs.umountverb. Knows nothing of: mount tables.
"""

from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from backend.cli import kinds, unshare
from backend.cli.request import Request
from backend.errors import NotMountedError, UnknownObjectError
from drivers.errors import StorageError

if TYPE_CHECKING:
    from backend.store import Store


def mount(request: Request) -> int:
    """Mount each argument and show where; an empty line stands for one that failed."""
    if unshare.wanted(request, inside=True):
        return unshare.again(request)
    values, output = request.values, request.output
    results: list[dict[str, str]] = []
    with request.open_store(read_only=False) as store:
        for reference in request.line.arguments:
            place, cause = "", ""
            try:
                if values.on("read-only"):
                    options = values.items("options")
                    place = store.images.mount(reference, options, values.text("label"))
                else:
                    place = store.mounts.mount(reference, label=values.text("label"))
            except (StorageError, OSError) as error:
                cause = kinds.cause(error, reference)
                if not request.json:
                    remedy = error.remedy if isinstance(error, StorageError) else ""
                    output.error(f"{cause} while mounting {reference}", remedy)
            results.append({"id": reference, "mountpoint": place, "error": cause})
    if request.json:
        output.json(results)
    else:
        output.lines(result["mountpoint"] for result in results)
    return 1 if any(result["error"] for result in results) else 0


def unmount(request: Request) -> int:
    """Give one use of each argument back, all with --force; say what is not mounted any more."""
    if unshare.wanted(request, inside=True):
        return unshare.again(request)
    force = request.values.on("force")
    with request.open_store(read_only=False) as store:
        return _say(
            request,
            lambda reference: _unmount(store, reference, force=force),
            "mountpoint unmounted",
        )


def mounted(request: Request) -> int:
    """Say which of the arguments are mounted; 1 if one of them is not known."""
    with request.open_store() as store:
        return _say(
            request, lambda reference: store.mounts.count(reference) > 0, "mounted", key="mounted"
        )


def _unmount(store: "Store", reference: str, *, force: bool) -> bool:
    """True if it is not mounted any more; images do not tell, as in the Go tool."""
    try:
        return store.mounts.unmount(reference, force=force)
    except NotMountedError:
        return True
    except UnknownObjectError:
        try:
            image = store.images.find(reference)
        except UnknownObjectError:
            pass
        else:
            with suppress(NotMountedError):
                store.images.unmount(image.id, force=force)
            return False
        raise


def _say(request: Request, ask: Callable[[str], bool], words: str, *, key: str = "") -> int:
    """Ask about each argument; a line with *words* for each yes. JSON has the answer as *key*."""
    output = request.output
    results: list[dict[str, object]] = []
    yes: list[str] = []
    for reference in request.line.arguments:
        cause, answer = "", False
        try:
            answer = ask(reference)
        except (StorageError, OSError) as error:
            cause = kinds.cause(error, reference)
            output.error(f"{reference}: {cause}", getattr(error, "remedy", ""))
        if answer:
            yes.append(reference)
        results.append({"id": reference, "error": cause, **({key: answer} if key else {})})
    if request.json:
        output.json(results)
    else:
        output.lines(f"{reference} {words}" for reference in yes)
    return 1 if any(result["error"] for result in results) else 0
