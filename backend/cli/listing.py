"""A list of objects in the form that was asked for: JSON, IDs, a table, the Go tool's text.

Used by: backend.cli.{layers,images,containers}. Knows nothing of: single kinds.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from backend.cli.request import Request
from backend.model.snapshot import Snapshot, Table


class Look(NamedTuple):
    """How objects of one kind are listed. ``empty`` is the JSON of a list without any."""

    kind: str
    table: Callable[[Snapshot], Table[Any]]
    header: Sequence[str]
    rows: Callable[[Snapshot, Sequence[Any]], Iterable[Sequence[str]]]
    plain: Callable[[Snapshot, Sequence[Any]], Iterable[str]]
    empty: bytes


def show(request: Request, look: Look, snapshot: Snapshot, records: Sequence[Any]) -> int:
    """List *records*. JSON beats IDs only, which beat the rest.

    The exit code says whether all records of the kind could be read.
    """
    output = request.output
    if request.json:
        from backend.cli.kinds import encode

        output.encoded(encode(look.kind, records) if records else look.empty)
    elif request.values.on("quiet"):
        output.lines(record.id for record in records)
    elif output.terminal:
        output.table(look.header, look.rows(snapshot, records))
    else:
        output.lines(look.plain(snapshot, records))
    return 1 if look.table(snapshot).unread else 0
