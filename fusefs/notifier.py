"""What the kernel must forget, and pollers it must wake: one queue, one thread.

Used by: fusefs.serving (makes it), fusefs.session. Knows nothing of: nodes, the store.
A notice may wait until requests on that directory are done, so it is never given inside one: a
thread of its own gives them. A storm of notices about one entry is one notice; what is not yet
given when the mount ends is dropped, with everything that the kernel remembered.

No signal ends a thread that waits in a notice. If the daemon is killed then, its descriptors stay
open, and with them its locks of the store: so no notice is given while a request may hold some.
"""

import contextlib
import logging
import threading
import time
from collections.abc import Callable
from typing import Final, Protocol

import pyfuse3

from fusefs.nodes.base import Ino

log: Final = logging.getLogger("storagefs")

_JOIN_SECONDS: Final = 1.0
_PATIENCE: Final = 0.5
"""Seconds that notices wait for requests that change something; one that waits itself is longer."""
_PAUSE: Final = 0.005


class Waiter(Protocol):
    """A poll(2) that waits in the kernel (pyfuse3.PollHandle)."""

    def notify(self) -> None:
        """Wake it."""


class KernelNotifier:
    """The one way to tell the kernel about changes. Every method may be called in any thread."""

    def __init__(
        self,
        invalidate_entry: Callable[[int, bytes, int], None] = pyfuse3.invalidate_entry,
        invalidate_inode: Callable[[int], None] = pyfuse3.invalidate_inode,
        is_changing: Callable[[], bool] = lambda: False,
        patience: float = _PATIENCE,
    ) -> None:
        self._invalidate_entry, self._invalidate_inode = invalidate_entry, invalidate_inode
        self._is_changing, self._patience = is_changing, patience
        self._impatient = False
        # Both under the condition. Keys say what to tell; they are told in this order.
        self._pending: dict[tuple[object, ...], Callable[[], None]] = {}
        self._state = threading.Condition()
        self._open = True
        self._thread = threading.Thread(target=self._work, name="notifier", daemon=True)
        self._thread.start()

    def entry_changed(self, parent: Ino, name: bytes) -> None:
        """*name* in *parent* is, or is not, what the kernel remembers. Detaches mounts on it."""
        self._put(("entry", parent, name), lambda: self._invalidate_entry(parent, name, 0))

    def entry_deleted(self, parent: Ino, name: bytes, ino: Ino) -> None:
        """*name*, which was *ino*, is gone: who watches it hears of it."""
        self._put(("entry", parent, name), lambda: self._delete_entry(parent, name, ino))

    def inode_changed(self, ino: Ino) -> None:
        """Attributes and content of a node are not what the kernel remembers."""
        self._put(("inode", ino), lambda: self._invalidate_inode(ino))

    def wake(self, waiter: Waiter) -> None:
        """Answer a poll(2)."""
        self._put(("poll", waiter), waiter.notify)

    def close(self) -> bool:
        """Drop what is pending and end the thread; False if the kernel still holds it."""
        with self._state:
            self._open = False
            self._pending.clear()
            self._state.notify()
        self._thread.join(_JOIN_SECONDS)
        return not self._thread.is_alive()

    def _delete_entry(self, parent: Ino, name: bytes, ino: Ino) -> None:
        """A directory that holds something cannot be reported as deleted, only as changed."""
        try:
            self._invalidate_entry(parent, name, ino)
        except OSError:
            self._invalidate_entry(parent, name, 0)

    def _put(self, key: tuple[object, ...], notice: Callable[[], None]) -> None:
        with self._state:
            if self._open:
                self._pending[key] = notice
                self._state.notify()

    def _take(self) -> Callable[[], None] | None:
        with self._state:
            while self._open and not self._pending:
                self._state.wait()
            if not self._open:
                return None
            return self._pending.pop(next(iter(self._pending)))

    def _work(self) -> None:
        while (notice := self._take()) is not None:
            try:
                self._let_changes_end()
                with contextlib.suppress(FileNotFoundError):  # the kernel knows it no longer
                    notice()
            except Exception as failure:  # noqa: BLE001 - one notice must not end the others
                log.warning("the kernel refused a notice: %s", failure)

    def _let_changes_end(self) -> None:
        """Wait, but only once for a request that itself waits for long."""
        until = time.monotonic() + self._patience
        while self._is_changing():
            if self._impatient or not self._open or time.monotonic() > until:
                self._impatient = True
                return
            time.sleep(_PAUSE)
        self._impatient = False
