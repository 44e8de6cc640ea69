"""``events``: the journal as a file that readers follow.

Used by: fusefs.nodes.root. Knows nothing of: who writes the journal.
"""

import stat
import threading
from collections.abc import Callable

from fusefs.nodes.base import Attributes, Caller, File, Ino, OpenFile
from fusefs.nodes.journal import Journal
from fusefs.nodes.text import Look, refuse_writing


class EventsFile(File):
    """Events from the moment of open. A read returns what is new; poll(2) tells when.

    tail(1) follows a file whose size and time change, so stat(2) says how many bytes of events
    there were since the mount, and when the last one came.
    """

    attr_timeout = 0.0

    def __init__(self, ino: Ino, look: Callable[[], Look], journal: Journal) -> None:
        super().__init__(ino)
        self._look, self._journal = look, journal

    def attributes(self) -> Attributes:
        """A regular file of mode 0444 that grows."""
        look = self._look()
        size, moment = self._journal.size_and_time()
        return Look(look.uid, look.gid, moment, moment).attributes(
            self.ino, stat.S_IFREG | 0o444, size
        )

    def open(self, flags: int, caller: Caller) -> OpenFile:
        """Begin to follow."""
        del caller
        refuse_writing(flags)
        return _Following(self._journal)


class _Following(OpenFile):
    """One reader. Where it reads does not matter: like a pipe, each byte comes once."""

    direct_io = True

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        # Number of the next event, and what of earlier ones was not read. Under the lock.
        self._lock = threading.Lock()
        self._position = journal.position()
        self._rest = b""

    def read(self, offset: int, size: int) -> bytes:
        del offset
        with self._lock:
            if not self._rest:
                self._rest, self._position = self._journal.events_from(self._position)
            taken, self._rest = self._rest[:size], self._rest[size:]
            return taken

    def ready(self) -> bool:
        with self._lock:
            return bool(self._rest) or self._journal.position() > self._position
