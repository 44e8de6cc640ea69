"""Lists of what a layer changes, as every comparison returns them (pure).

Used by: drivers.naive, drivers.overlay.diffing. Knows nothing of: how layers are compared.
"""

from collections.abc import Iterable, Sequence
from operator import attrgetter

from drivers.protocol import Change, ChangeKind


def with_parents(changes: Sequence[Change], of: Iterable[Change]) -> list[Change]:
    """Return *changes*, and the directories above those *of* them, sorted by path.

    A directory that is not among the changes itself is listed as modified.
    """
    above = set()
    for change in of:
        path = change.path
        while (path := path.rpartition(b"/")[0]) and path not in above:
            above.add(path)
    above -= {change.path for change in changes}
    parents = [Change(path, ChangeKind.MODIFY, "d") for path in above]
    return sorted([*changes, *parents], key=attrgetter("path"))
