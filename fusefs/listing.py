"""Names of directories and what stands under them: listings, and places after a rename.

Used by: fusefs.answering, operations; in a worker thread unless a directory answers from memory.
Knows nothing of: FUSE, event loops.
"""

import contextlib
import logging
from typing import Final

from backend.errors import UnknownObjectError
from drivers.errors import StorageError
from fusefs.nodes.base import Directory, ListedEntry, OpenDirectory

log: Final = logging.getLogger("storagefs")


def found_again(*places: tuple[Directory, bytes]) -> list[tuple[int, int, bytes]]:
    """Number, directory's number and name of what stands at these places after a rename."""
    found: list[tuple[int, int, bytes]] = []
    for directory, name in places:
        with contextlib.suppress(OSError, StorageError):
            found.append((directory.child(name).ino, directory.ino, name))
    return found


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
