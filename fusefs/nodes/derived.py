"""What is computed once, for each table of records for example, and kept as long as the table.

Used by: listings of ten thousand entries, fusefs.nodes.context. A table never changes, so what is
computed from it stays true. Thread-safe: two threads may compute the same value, once each.
"""

import functools
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import Any, Generic, TypeVar
from weakref import WeakKeyDictionary

from backend.codec import gotime
from backend.model.records import Container, Image, Layer
from backend.model.snapshot import Table

T = TypeVar("T")
V = TypeVar("V")
R = TypeVar("R", Layer, Image, Container)


def once_per(compute: Callable[[T], V]) -> Callable[[T], V]:
    """Decorate a function of one thing that never changes: its value is kept with the thing."""
    known: WeakKeyDictionary[Any, V] = WeakKeyDictionary()

    @functools.wraps(compute)
    def computed(thing: T) -> V:
        try:
            return known[thing]
        except KeyError:
            value = known[thing] = compute(thing)
            return value

    return computed


def in_order(table: Table[R]) -> Iterator[R]:
    """The records in the store's order, without those whose ID an earlier one has."""
    return (record for record in table.records if table.by_id[record.id] is record)


@functools.lru_cache(maxsize=65_536)
def nanoseconds(created: str) -> int:
    """A record's time as nanoseconds since the epoch; 0 where it was never set."""
    return gotime.to_nanoseconds(created) or 0


class Recent(Generic[T, V]):
    """The last values that were computed, by key. For what never changes and costs a read."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        # Keys in the order of their last use. Touched under the lock.
        self._lock = threading.Lock()
        self._values: OrderedDict[T, V] = OrderedDict()

    def get(self, key: T, compute: Callable[[], V]) -> V:
        """The value for *key*; *compute* makes it if it is not known."""
        with self._lock:
            if key in self._values:
                self._values.move_to_end(key)
                return self._values[key]
        value = compute()
        with self._lock:
            self._values[key] = value
            while len(self._values) > self._limit:
                self._values.popitem(last=False)
        return value
