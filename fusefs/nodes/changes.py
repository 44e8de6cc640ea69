r"""Changes of a layer as text and as JSON (pure).

Used by: the ``changes``, ``changes.json`` and ``deleted`` files of layers and containers.
The text has ``A|C|D TYPE PATH`` a line, sorted by path; bytes that would break a line are written
as ``\NNN`` in octal, and so is the backslash, as the kernel does in /proc. The JSON is NUL-safe:
any path survives it.
"""

import os
import re
from collections.abc import Iterable
from typing import Final

from drivers.protocol import Change, ChangeKind
from fusefs.nodes import document

_LETTERS: Final = {ChangeKind.MODIFY: "C", ChangeKind.ADD: "A", ChangeKind.DELETE: "D"}
_BREAKS_A_LINE: Final = re.compile(rb"[\x00-\x1f\x7f\\]")


def as_text(changes: Iterable[Change]) -> bytes:
    """One line a change."""
    return b"".join(_line(change) for change in _sorted(changes))


def as_json(changes: Iterable[Change]) -> bytes:
    """A JSON array of objects with ``path``, ``kind`` and ``type``."""
    return document.page(
        [
            {
                "path": os.fsdecode(change.path),
                "kind": _LETTERS[change.kind],
                "type": change.type,
            }
            for change in _sorted(changes)
        ]
    )


def removals(changes: Iterable[Change]) -> bytes:
    """The lines of what is removed only."""
    return as_text(change for change in changes if change.kind is ChangeKind.DELETE)


def _sorted(changes: Iterable[Change]) -> list[Change]:
    return sorted(changes, key=lambda change: change.path)


def _line(change: Change) -> bytes:
    path = _BREAKS_A_LINE.sub(lambda found: b"\\%03o" % found[0][0], change.path)
    return f"{_LETTERS[change.kind]} {change.type} ".encode() + path + b"\n"
