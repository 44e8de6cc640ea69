"""``storagefs exists``.

Used by: backend.cli.command. Knows nothing of: files.
"""

from backend.cli.kinds import KINDS, table
from backend.cli.request import Request


def run(request: Request) -> int:
    """Say which of the arguments exist: as all kinds that were asked for, or as any."""
    snapshot = request.snapshot()
    asked = [kind for kind in KINDS if request.values.on(kind)]
    tables = [table(snapshot, kind) for kind in asked or KINDS]
    found: dict[str, bool] = {}
    for reference in request.line.arguments:
        answers = [objects.find(reference) is not None for objects in tables]
        found[reference] = all(answers) if asked else any(answers)
    if not all(found.values()) and any(objects.unread for objects in tables):
        return 1  # why not is said already; it may well exist
    if request.json:
        request.output.json(found, sort=True)
    elif not request.values.on("quiet"):
        request.output.lines(
            f"{reference}: {'true' if there else 'false'}" for reference, there in found.items()
        )
    return 0 if all(found.values()) else 1
