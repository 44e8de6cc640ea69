"""A lock between the threads of this process: many readers or one writer, writers first.

Used by: backend.files.lockfile. Not reentrant: a thread that reads twice while another waits to
write would wait for itself.
"""

from __future__ import annotations

import threading


class ReadWriteLock:
    """Writer-preferring, with a time limit."""

    def __init__(self) -> None:
        self._changed = threading.Condition(threading.Lock())
        # Guarded by _changed. Never both readers > 0 and writing.
        self._readers = 0
        self._writing = False
        self._waiting_writers = 0

    def acquire_read(self, seconds: float | None) -> bool:
        """Join the readers; False when time is up."""
        with self._changed:
            if not self._changed.wait_for(self._may_read, seconds):
                return False
            self._readers += 1
            return True

    def release_read(self) -> None:
        """Leave the readers."""
        with self._changed:
            self._readers -= 1
            if not self._readers:
                self._changed.notify_all()

    def acquire_write(self, seconds: float | None) -> bool:
        """Become the writer; False when time is up."""
        with self._changed:
            self._waiting_writers += 1
            try:
                if not self._changed.wait_for(self._may_write, seconds):
                    self._changed.notify_all()  # readers waited for us
                    return False
                self._writing = True
                return True
            finally:
                self._waiting_writers -= 1

    def release_write(self) -> None:
        """Let others in."""
        with self._changed:
            self._writing = False
            self._changed.notify_all()

    def _may_read(self) -> bool:
        return not self._writing and not self._waiting_writers

    def _may_write(self) -> bool:
        return not self._writing and not self._readers
