"""Where two versions of the same records differ (pure).

Used by: backend.files.recordfile, fusefs.difference. Knows nothing of: what is in a record.
A change replaces few among thousands and leaves all others where they are: comparing from both
ends finds the few at once.
"""

import operator
from collections.abc import Callable, Sequence


def differing(
    old: Sequence[object],
    new: Sequence[object],
    are_same: Callable[[object, object], bool] = operator.is_,
) -> tuple[slice, slice]:
    """The part of each that is left without their common beginning and end."""
    begin = _alike(old, new, are_same)
    end = _alike(old[begin:][::-1], new[begin:][::-1], are_same)
    return slice(begin, len(old) - end), slice(begin, len(new) - end)


def _alike(
    some: Sequence[object], others: Sequence[object], are_same: Callable[[object, object], bool]
) -> int:
    """How many from the beginning on are the same in both."""
    same = list(map(are_same, some, others))
    return same.index(False) if False in same else len(same)
