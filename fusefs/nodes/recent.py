"""What is kept of the directories that were used most recently.

Used by: fusefs.nodes.{passthrough_view,readahead}. Knows nothing of: what it is.
"""

from collections import OrderedDict
from collections.abc import Callable
from threading import Lock
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from fusefs.nodes.passthrough_node import BackedNode
    from fusefs.nodes.passthrough_view import View

V = TypeVar("V")


class Recent(Generic[V]):
    """One value for each directory, until they weigh more than *limit* together. Thread-safe."""

    def __init__(self, limit: int, *, weigh: Callable[[V], int] = lambda _: 1) -> None:
        self._limit, self._weigh = limit, weigh
        self._weight = 0
        self._held: OrderedDict[BackedNode, V] = OrderedDict()
        self._lock = Lock()

    def get(self, directory: "BackedNode") -> V | None:
        """The value of *directory*, if it is kept."""
        with self._lock:
            held = self._held.get(directory)
            if held is not None:
                self._held.move_to_end(directory)
            return held

    def keep(self, directory: "BackedNode", value: V) -> None:
        """Remember it, and forget the values that were not used for longest."""
        with self._lock:
            forgotten = [self._forget(directory)]
            self._held[directory] = value
            self._weight += self._weigh(value)
            while self._weight > self._limit:
                forgotten.append(self._forget(next(iter(self._held))))
        del forgotten  # what that closes or frees, it does outside the lock

    def drop(self, view: "View") -> None:
        """Forget every value of *view*."""
        with self._lock:
            gone = [key for key in self._held if key.view is view]
            forgotten = [self._forget(key) for key in gone]
        del forgotten

    def _forget(self, directory: "BackedNode") -> V | None:
        held = self._held.pop(directory, None)
        if held is not None:
            self._weight -= self._weigh(held)
        return held
