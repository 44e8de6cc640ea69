"""Where two versions of the same records differ (pure).

Used by: backend.files.recordfile, fusefs.difference. Knows nothing of: what is in a record.
A change replaces few records among thousands and leaves the objects of all others: comparing
identities from both ends finds the few without a look into any.
"""

import operator
from collections.abc import Sequence


def differing(old: Sequence[object], new: Sequence[object]) -> tuple[slice, slice]:
    """The part of each that is left without their common beginning and end."""
    begin = _alike(old, new)
    end = _alike(old[begin:][::-1], new[begin:][::-1])
    return slice(begin, len(old) - end), slice(begin, len(new) - end)


def _alike(some: Sequence[object], others: Sequence[object]) -> int:
    """How many objects from the beginning on are the same in both."""
    same = list(map(operator.is_, some, others))
    return same.index(False) if False in same else len(same)
