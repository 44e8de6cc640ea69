"""Flushing a file system once for everyone who waits for it.

Used by: backend.api. Knows nothing of: what was written.
A syncfs writes out what everybody wrote, so callers that come while one is running share the
next one instead of queueing up for one each.
"""

import os
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Final, Self

from drivers.linux import atomicfile

_ENOUGH: Final = 32 << 20


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


class FlushAhead:
    """Calls *flush* in a thread while much is written, so that the last flush finds little to do.

    Use it in a ``with`` statement. A flush that fails is raised at the end of that: the kernel
    tells it only once, so the last flush would not know.
    """

    def __init__(self, flush: Callable[[], None]) -> None:
        self._flush = flush
        self._unflushed = 0
        self._due = threading.Event()
        self._ended = False
        self._failure: BaseException | None = None
        self._thread: threading.Thread | None = None

    def wrote(self, size: int) -> None:
        """So many bytes more were written."""
        self._unflushed += size
        if self._unflushed < _ENOUGH:
            return
        self._unflushed = 0
        self._due.set()
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="flush ahead", daemon=True)
            self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._thread is None:
            return
        self._ended = True
        self._due.set()
        self._thread.join()
        if self._failure is not None and exc is None:
            raise self._failure

    def _run(self) -> None:
        while self._due.wait() and not self._ended:
            self._due.clear()
            try:
                self._flush()
            except BaseException as error:  # noqa: BLE001 - raised by the thread that writes
                self._failure = error
                return


_mutex: Final = threading.Lock()
_by_device: Final[dict[int, SharedFlush]] = {}


def flush_filesystems(*paths: str) -> None:
    """Make durable what was written to the file systems of *paths*, each once."""
    devices = {os.stat(path).st_dev: path for path in paths}
    for device, path in devices.items():
        with _mutex:
            shared = _by_device.setdefault(device, SharedFlush())
        shared.flush(path)
