"""Identifiers of layers, and what makes any identifier safe to use in a path.

Used by: every package. Knows nothing of: where objects are stored.
"""

import os
from collections.abc import Collection
from typing import Final, NewType

LayerID = NewType("LayerID", str)
"""ID of a layer: 64 lower-case hex digits when generated; callers may choose other text."""

_GENERATED_BYTES = 32
_SHORT = 12
_LONGEST: Final = 255
_SPECIAL: Final = frozenset(("", ".", ".."))


def generate_id() -> str:
    """Return 64 random hex digits whose first 12 are not all decimal.

    The Go tools print short IDs and some parse them as numbers, hence the second rule
    (containers/storage pkg/stringid: generateID).
    """
    while True:
        candidate = os.urandom(_GENERATED_BYTES).hex()
        if not candidate[:_SHORT].isdigit():
            return candidate


def is_path_component(identifier: str) -> bool:
    """Whether *identifier* can be one name in a directory without leading anywhere else.

    Records come from strangers: an ID that fails this test must never become part of a path.
    """
    size = len(identifier if identifier.isascii() else os.fsencode(identifier))
    return (
        size <= _LONGEST
        and identifier not in _SPECIAL
        and "/" not in identifier
        and "\0" not in identifier
    )


def no_path_components(identifiers: Collection[str]) -> list[str]:
    """Those that fail :func:`is_path_component`; quick for thousands of which none does."""
    together = "".join(identifiers)
    if (
        together.isascii()
        and "/" not in together
        and "\0" not in together
        and _SPECIAL.isdisjoint(identifiers)
        and max(map(len, identifiers), default=0) <= _LONGEST
    ):
        return []
    return [each for each in identifiers if not is_path_component(each)]
