"""What happened: refused operations and events, kept for a while and followed by readers.

Used by: fusefs.request (refusals), fusefs.session (events), the nodes ``errors``, ``events`` and
``log``. Knows nothing of: FUSE, the store. Thread-safe; never blocks for long.
"""

import errno as errno_names
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

from fusefs.nodes import document
from fusefs.nodes.base import Caller

KEPT: Final = 1_000
"""How many refusals, and how many events, are remembered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened to an object.

    ``event`` is ``created``, ``deleted``, ``renamed``, ``changed``, ``mounted``, ``unmounted``,
    ``damaged`` or ``repaired``; ``kind`` is ``layer``, ``image``, ``container`` or ``store``.
    """

    event: str
    kind: str
    id: str
    names: tuple[str, ...] = ()
    detail: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))


class Journal:
    """Two rings of JSON lines; the events can be followed from any point."""

    def __init__(self, *, kept: int = KEPT, clock: Callable[[], int] = time.time_ns) -> None:
        self._clock = clock
        # All below is touched under the lock. Invariant: the ring holds the events numbered
        # from _first to _first + len(_events) - 1, each as the line that readers get.
        self._lock = threading.Lock()
        self._refusals: deque[bytes] = deque(maxlen=kept)
        self._events: deque[bytes] = deque()
        self._kept = kept
        self._first = 0
        self._published_bytes = 0
        self._last_ns = clock()
        self._listeners: list[Callable[[], None]] = []

    def refused(
        self,
        caller: Caller | None,
        operation: str,
        path: bytes | str,
        errno: int,
        *,
        reason: str,
        remedy: str,
    ) -> None:
        """Note that *operation* on *path* was refused."""
        refusal = {
            "time": document.moment(self._clock()),
            "uid": caller.uid if caller else None,
            "pid": caller.pid if caller else None,
            "operation": operation,
            "path": os.fsdecode(path),
            "errno": errno_names.errorcode.get(errno, str(errno)),
            "reason": reason,
            "remedy": remedy,
        }
        text = document.line(refusal)
        with self._lock:
            self._refusals.append(text)

    def publish(self, event: Event) -> None:
        """Add an event and tell those who listen, in this thread."""
        now = self._clock()
        shown: dict[str, Any] = {
            "time": document.moment(now),
            "event": event.event,
            "kind": event.kind,
            "id": event.id,
        }
        if event.names:
            shown["names"] = list(event.names)
        text = document.line(shown | dict(event.detail))
        with self._lock:
            self._events.append(text)
            if len(self._events) > self._kept:
                self._events.popleft()
                self._first += 1
            self._published_bytes += len(text)
            self._last_ns = now
            listeners = tuple(self._listeners)
        for listener in listeners:
            listener()

    def listen(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Have *listener* called after each event; returns what ends that. It must be quick."""
        with self._lock:
            self._listeners.append(listener)

        def stop() -> None:
            with self._lock:
                if listener in self._listeners:
                    self._listeners.remove(listener)

        return stop

    def refusals(self) -> bytes:
        """The last refusals, oldest first, one JSON document a line."""
        with self._lock:
            return b"".join(self._refusals)

    def recent(self) -> bytes:
        """The last events, oldest first."""
        with self._lock:
            return b"".join(self._events)

    def position(self) -> int:
        """The number that the next event will have."""
        with self._lock:
            return self._first + len(self._events)

    def events_from(self, position: int) -> tuple[bytes, int]:
        """Lines of the events numbered *position* and later, and the number after the last.

        A reader that was too slow gets a line that says how many it lost.
        """
        with self._lock:
            after = self._first + len(self._events)
            lines = list(self._events)[max(0, position - self._first) :]
            lost = self._first - position
        if lost > 0:
            lines.insert(0, document.line({"event": "lost", "count": lost}))
        return b"".join(lines), after

    def size_and_time(self) -> tuple[int, int]:
        """Bytes of all events ever published, and the moment of the last one (nanoseconds)."""
        with self._lock:
            return self._published_bytes, self._last_ns
