"""What a check of a store found (pure).

Used by: backend.api.{check,repair}, backend.cli. Knows nothing of: how it was found.
"""

import enum
from collections.abc import Mapping
from typing import NamedTuple


class Depth(enum.IntEnum):
    """How much a check reads.

    RECORDS: records, directories, links, sizes of data items. DIGESTS: data items, and each
    layer's archive as it can be put together again. FILES: each file of each layer beside what
    its archive said of it, with owner, mode, attributes and time.
    """

    RECORDS = 0
    DIGESTS = 1
    FILES = 2


class Fault(enum.Enum):
    """What is wrong. The values are stable: scripts read them.

    UNREADABLE is the fault of the disk, or of who looks and may not: what lies there may be whole,
    and no repair takes it away.
    """

    RECORD = "record"
    DATA_MISSING = "data-missing"
    DATA_SIZE = "data-size"
    DATA_DIGEST = "data-digest"
    LAYER_DIRECTORY = "layer-directory"
    LAYER_LINKS = "layer-links"
    LAYER_DIGEST = "layer-digest"
    LAYER_CONTENT = "layer-content"
    LAYER_ATTRIBUTES = "layer-attributes"
    DIRECTORY_TIMES = "directory-times"
    LAYER_UNREFERENCED = "layer-unreferenced"
    LAYER_UNACCOUNTED = "layer-unaccounted"
    MOUNT_COUNT = "mount-count"
    UNREADABLE = "unreadable"
    UNVERIFIABLE = "unverifiable"


NOTES = frozenset((Fault.DIRECTORY_TIMES, Fault.MOUNT_COUNT, Fault.UNVERIFIABLE))
"""Faults that harm nobody: they are told, and a store with nothing else is sound."""


class Finding(NamedTuple):
    """One fault of one object. ``kind`` is layer, image, container or store; ``path`` may be ""."""

    kind: str
    id: str
    fault: Fault
    path: str
    reason: str
    remedy: str = ""
    read_only: bool = False

    @property
    def is_note(self) -> bool:
        """Whether it harms nobody."""
        return self.fault in NOTES


class Report(NamedTuple):
    """All findings of one check, and how many objects of each kind it looked at."""

    depth: Depth
    findings: tuple[Finding, ...]
    checked: Mapping[str, int]

    @property
    def sound(self) -> bool:
        """Whether nothing is wrong; notes do not count."""
        return all(finding.is_note for finding in self.findings)


class Action(enum.Enum):
    """A step of a repair, from the least to the most that it takes away."""

    WRITE_LINKS = "write the links again of layer"
    FORGET_MOUNT = "forget the mount of layer"
    REMOVE_DIRECTORY = "remove the directory of layer"
    DELETE_CONTAINER = "delete container"
    DELETE_IMAGE = "delete image"
    DELETE_LAYER = "delete layer"


class Step(NamedTuple):
    """What to do with one object, and the faults that ask for it."""

    action: Action
    id: str
    why: str


class Plan(NamedTuple):
    """Steps in their order, and the findings that no step mends."""

    steps: tuple[Step, ...]
    left: tuple[Finding, ...]
