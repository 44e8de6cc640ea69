"""Changes of a layer as ``containers-storage changes`` prints them, and as our JSON lists them.

Used by: mount and compat tests.
"""

import re
from collections.abc import Mapping, Sequence

LETTERS = {"Modify": "C", "Add": "A", "Delete": "D"}
_SIMPLE = {"a": 7, "b": 8, "f": 12, "n": 10, "r": 13, "t": 9, "v": 11, "\\": 92, '"': 34}
_ESCAPE = re.compile(r'\\(?:x([0-9a-f]{2})|u([0-9a-f]{4})|U([0-9a-f]{8})|([abfnrtv\\"]))')

Changes = set[tuple[str, bytes]]


def parse(text: str) -> Changes:
    """What the Go tool printed: ``Modify "/etc"`` a line, the path quoted as Go quotes."""
    found: Changes = set()
    for line in text.splitlines():
        kind, _, quoted = line.partition(" ")
        found.add((LETTERS[kind], _unquoted(quoted)))
    return found


def _unquoted(text: str) -> bytes:
    def replaced(found: re.Match[str]) -> str:
        byte, short, long, simple = found.groups()
        if byte:
            return bytes.fromhex(byte).decode("utf-8", "surrogateescape")
        return chr(int(short or long, 16)) if short or long else chr(_SIMPLE[simple])

    return _ESCAPE.sub(replaced, text[1:-1]).encode("utf-8", "surrogateescape")


def of_ours(changes: Sequence[Mapping[str, str]]) -> Changes:
    """What ``changes.json`` of a layer says."""
    return {(c["kind"], c["path"].encode("utf-8", "surrogateescape")) for c in changes}
