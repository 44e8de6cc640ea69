"""``storagefs layer-parent-owners`` and ``container-parent-owners``.

Used by: backend.cli.command. Knows nothing of: how owners are found.
"""

from collections.abc import Iterator, Sequence

from backend.cli.request import Request
from backend.errors import UnknownObjectError


def run(request: Request) -> int:
    """Show whose the directories are that lead to a mounted layer, as IDs that it does not map."""
    output, kind = request.output, request.line.verb.kind
    failed = False
    with request.open_store() as store:
        verbs = store.layers if kind == "layer" else store.containers
        for reference in request.line.arguments:
            try:
                identifier = verbs.find(reference).id
                users, groups = verbs.parent_owners(reference)
            except UnknownObjectError:
                failed = True
                continue
            if request.json:
                output.json({"ID": identifier, "UIDs": users or None, "GIDs": groups or None})
            else:
                output.lines(_plain(kind, identifier, users, groups))
    return 1 if failed else 0


def _plain(
    kind: str, identifier: str, users: Sequence[int], groups: Sequence[int]
) -> Iterator[str]:
    yield f"ID: {identifier}"
    for word, owners in (("UIDs", users), ("GIDs", groups)):
        if owners or kind == "container":
            yield f"{word}: [{' '.join(map(str, owners))}]"
