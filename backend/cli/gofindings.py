"""Findings of a check with the words of the Go tool, for which scripts look (pure).

Used by: backend.cli.checking. Knows nothing of: what a finding means.
"""

import re
from typing import Final

from backend.model.findings import Fault, Finding

_ITEM: Final = re.compile(r"data item (['\"])(?P<key>.*?)\1")
_UNKNOWN: Final = re.compile(r"its (?P<what>layer|image|parent) (?P<id>\S+) is not known")
_ADDED: Final = " was added"

_WORDS: Final = {
    Fault.LAYER_UNACCOUNTED: "layer in lower level storage driver not accounted for",
    Fault.LAYER_UNREFERENCED: "layer not referenced by any images or containers",
    Fault.LAYER_DIGEST: "layer content incorrect digest",
}
_OF_ITEMS: Final = {
    Fault.DATA_MISSING: "data item is missing",
    Fault.DATA_SIZE: "data item has incorrect size",
}


def sentence(finding: Finding) -> str:
    """One finding: the object, the Go tool's words if it has any, where it is, why."""
    parts = [f"{finding.kind} {finding.id}".rstrip(), *_words(finding)]
    parts += [finding.path] if finding.path else []
    return ": ".join((*parts, finding.reason))


def left_of(finding: Finding, container: str) -> str:
    """One finding that stays, and first the ID of the *container* whose layer it is, or ""."""
    if not container:
        return sentence(finding)
    held = f"layer {finding.id} used by container {container}: layer is in use by a container"
    return f"{held}: {sentence(finding)}"


def _words(finding: Finding) -> list[str]:
    fault, reason = finding.fault, finding.reason
    if fault in _WORDS:
        return [_WORDS[fault]]
    item = _ITEM.match(reason)
    if fault in _OF_ITEMS and item is not None:
        return [f'data item "{item["key"]}"', f"{finding.kind} {_OF_ITEMS[fault]}"]
    if fault is Fault.LAYER_CONTENT:
        added = f"+{reason.removesuffix(_ADDED)}, " if reason.endswith(_ADDED) else ""
        return [f"{added}layer content modified"]
    unknown = _UNKNOWN.match(reason)
    if fault is Fault.RECORD and unknown is not None:
        if unknown["what"] == "image":
            return [f"image {unknown['id']}", "image missing"]
        word = "layer parent" if unknown["what"] == "parent" else f"{finding.kind} layer is"
        return [f"layer {unknown['id']}", f"{word} missing"]
    return []
