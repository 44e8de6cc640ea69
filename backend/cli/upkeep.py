"""Verbs on the store as a whole.

Used by: backend.cli.command. Knows nothing of: what they take away.
"""

from backend.cli.request import Request
from backend.errors import InvalidValueError


def collect(request: Request) -> int:
    """Delete what no record owns. What is mounted stays so."""
    with request.open_store(read_only=False) as store:
        store.collect_garbage()
    return _nothing(request)


def wipe(request: Request) -> int:
    """Delete everything, whoever uses it."""
    with request.open_store(read_only=False) as store:
        store.wipe()
    return _nothing(request)


def shutdown(request: Request) -> int:
    """Undo what opening the store did; with --force unmount layers first."""
    with request.open_store(read_only=False) as store:
        store.shutdown(force=request.values.on("force"))
    return _nothing(request)


def dedup(request: Request) -> int:
    """Let equal files share blocks; show how many bytes that gave back."""
    from drivers.protocol import DedupMethod

    word = request.values.text("hash-method") or "crc"
    if word not in {"crc", "size", "sha256"}:
        raise InvalidValueError("--hash-method", word, "it is not crc, size or sha256")
    with request.open_store(read_only=False) as store:
        saved = store.dedup(DedupMethod[word.upper()])
    if request.json:
        request.output.json({"Deduped": saved})
    else:
        request.output.lines([f"Deduplicated {saved} bytes"])
    return 0


def _nothing(request: Request) -> int:
    """The Go tool's JSON where there is nothing to say."""
    if request.json:
        request.output.json("")
    return 0
