"""The lines of a directory listing: names with their nodes and attributes.

Used by: fusefs.answering, in a worker thread unless the directory answers from memory.
Knows nothing of: FUSE, event loops.
"""

import logging
from typing import Final

from backend.errors import UnknownObjectError
from fusefs.nodes.base import Directory, ListedEntry, OpenDirectory

log: Final = logging.getLogger("storagefs")


def entries_of(
    directory: Directory, listing: OpenDirectory, first: int, count: int
) -> list[ListedEntry]:
    """Look up ``names[first:first + count]``; a name that is gone since opendir is left out.

    One entry that fails must not hide the others, so a failure is only logged here: asking for
    that name says it again, to the one who asks.
    """
    batch = listing.batch(first, count)
    if batch is not None:
        return list(batch)
    entries = []
    for position, name in enumerate(listing.names[first : first + count], first):
        try:
            node = directory.child(name)
            entries.append(ListedEntry(position, name, node, node.attributes()))
        except (FileNotFoundError, UnknownObjectError):
            continue
        except Exception as failure:  # noqa: BLE001 - see the docstring
            log.warning("listing leaves out %r: %s", name, failure)
    return entries
