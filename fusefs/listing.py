"""The lines of a directory listing: names with their nodes and attributes.

Used by: fusefs.operations, in a worker thread unless the directory answers from memory.
Knows nothing of: FUSE, event loops.
"""

import logging
from collections.abc import Sequence
from typing import Final

from backend.errors import UnknownObjectError
from fusefs.nodes.base import Attributes, Directory, Node

log: Final = logging.getLogger("storagefs")


Entry = tuple[bytes, Node, Attributes]


def entries_of(directory: Directory, names: Sequence[bytes]) -> list[Entry | None]:
    """Look up *names*; None stands for one that cannot be shown (it is gone since opendir).

    One entry that fails must not hide the others, so a failure is only logged here: asking for
    that name says it again, to the one who asks.
    """
    return [_entry(directory, name) for name in names]


def _entry(directory: Directory, name: bytes) -> Entry | None:
    try:
        node = directory.child(name)
        return name, node, node.attributes()
    except (FileNotFoundError, UnknownObjectError):
        return None
    except Exception as failure:  # noqa: BLE001 - see entries_of
        log.warning("listing leaves out %r: %s", name, failure)
        return None
