"""Flushing a file system once for everyone who waits for it.

Used by: backend.api. Knows nothing of: what was written.
A syncfs writes out what everybody wrote, so callers that come while one is running share the
next one instead of queueing up for one each.
"""

import os
import threading
from typing import Final

from drivers.linux import atomicfile


class SharedFlush:
    """Flushes of one file system. Any thread may ask."""

    def __init__(self) -> None:
        # Guards the rest: flushes begun so far, the last one that ended well, whether one runs.
        self._changed = threading.Condition()
        self._begun = 0
        self._done = 0
        self._running = False

    def flush(self, path: str) -> None:
        """Return once all that this thread wrote to the file system of *path* is durable."""
        with self._changed:
            wanted = self._begun + 1  # one that runs already may have passed what we wrote
        while self._is_my_turn(wanted):
            self._flush(path)

    def _is_my_turn(self, wanted: int) -> bool:
        """Wait until flush *wanted* is done (False), or until it is ours to do (True)."""
        with self._changed:
            self._changed.wait_for(lambda: self._done >= wanted or not self._running)
            if self._done >= wanted:
                return False
            self._begun += 1
            self._running = True
            return True

    def _flush(self, path: str) -> None:
        number = self._begun  # nobody else begins one while ours runs
        succeeded = False
        try:
            atomicfile.sync_filesystem(path)
            succeeded = True
        finally:
            with self._changed:
                self._running = False
                if succeeded:
                    self._done = number
                self._changed.notify_all()


_mutex: Final = threading.Lock()
_by_device: Final[dict[int, SharedFlush]] = {}


def flush_filesystems(*paths: str) -> None:
    """Make durable what was written to the file systems of *paths*, each once."""
    devices = {os.stat(path).st_dev: path for path in paths}
    for device, path in devices.items():
        with _mutex:
            shared = _by_device.setdefault(device, SharedFlush())
        shared.flush(path)
