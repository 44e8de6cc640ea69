"""Records of two stores that were made by the same verbs, made comparable.

Used by: compat tests. IDs become numbers in the order in which they are met, moments become one
word; everything else, and the order of members, stays as it is in the files.
"""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.support.gotools import Roots

KINDS = ("layers", "images", "containers")
_ID = re.compile(r"(?<!sha256:)\b[0-9a-f]{64}\b")
_MOMENT = re.compile(r'"created":"20[^"]*Z"')


def records(roots: Roots, driver: str, *kinds: str) -> list[str]:
    """The record files of *kinds* (all of them if none is named) as text without what is random."""
    number = _numbering()
    found = []
    for kind in kinds or KINDS:
        path = roots.graph / f"{driver}-{kind}" / f"{kind}.json"
        text = path.read_text() if path.exists() else "[]"
        found.append(_MOMENT.sub('"created":"then"', _ID.sub(number, text)))
    return found


def decoded(roots: Roots, driver: str, kind: str) -> list[dict[str, Any]]:
    """The records of one kind."""
    path = roots.graph / f"{driver}-{kind}" / f"{kind}.json"
    found: list[dict[str, Any]] = json.loads(path.read_text() or "[]") if path.exists() else []
    return found


def data_files(roots: Roots, driver: str, kind: str, identifier: str) -> dict[str, bytes]:
    """Names and contents of an object's data items."""
    directory = Path(roots.graph, f"{driver}-{kind}", identifier)
    return {path.name: path.read_bytes() for path in directory.iterdir() if path.is_file()}


def _numbering() -> Callable[[re.Match[str]], str]:
    known: dict[str, str] = {}
    return lambda match: known.setdefault(match[0], f"id-{len(known)}")
