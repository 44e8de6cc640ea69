"""``storagefs copy``.

Used by: backend.cli.command. Knows nothing of: layers.
"""

from backend.cli.progress import Progress
from backend.cli.request import Request
from backend.errors import InvalidValueError


def run(request: Request) -> int:
    """Copy files; the first error is the end. There is nothing to say, as JSON neither."""
    *sources, target = request.line.arguments
    chown = request.values.text("chown")
    owner = _owner(chown) if chown else None
    copying = Progress(request.output, "copying")
    with request.open_store(read_only=False) as store, copying.ticking():
        store.copy(sources, target, owner=owner)
    return 0


def _owner(text: str) -> tuple[int, int]:
    user, _, group = text.partition(":")
    numbers = (user, group or user)
    if not all(number.isascii() and number.isdigit() for number in numbers):
        raise InvalidValueError("--chown", text, "it is not UID or UID:GID, in numbers")
    return int(numbers[0]), int(numbers[1])
