"""Verbs on the store as a whole.

Used by: backend.cli.command. Knows nothing of: what they take away.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from backend.cli.progress import Progress
from backend.cli.request import Request
from backend.errors import InvalidValueError

if TYPE_CHECKING:
    from backend.store import Store


def collect(request: Request) -> int:
    """Delete what no record owns. What is mounted stays so."""
    return _do(request, lambda store: store.collect_garbage())


def wipe(request: Request) -> int:
    """Delete everything, whoever uses it."""
    return _do(request, lambda store: store.wipe())


def shutdown(request: Request) -> int:
    """Undo what opening the store did; with --force unmount layers first."""
    force = request.values.on("force")
    return _do(request, lambda store: store.shutdown(force=force))


def dedup(request: Request) -> int:
    """Let equal files share blocks; show how many bytes that gave back."""
    from drivers.protocol import DedupMethod

    word = request.values.text("hash-method") or "crc"
    if word not in {"crc", "size", "sha256"}:
        raise InvalidValueError("--hash-method", word, "it is not crc, size or sha256")
    comparing = Progress(request.output, "comparing files")
    with request.open_store(read_only=False) as store, comparing.ticking():
        saved = store.dedup(DedupMethod[word.upper()])
    if request.json:
        request.output.json({"Deduped": saved})
    else:
        request.output.lines([f"Deduplicated {saved} bytes"])
    return 0


def _do(request: Request, act: Callable[["Store"], object]) -> int:
    """Do it; there is nothing to say, in JSON "" or, as in the Go tool, {} where it failed."""
    result: object = {}
    try:
        doing = Progress(request.output, request.line.verb.name)
        with request.open_store(read_only=False) as store, doing.ticking():
            act(store)
        result = ""
    finally:
        if request.json:
            request.output.json(result)
    return 0
