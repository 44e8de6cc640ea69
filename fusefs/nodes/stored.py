"""One object of the store behind the nodes that show it: its record, its verbs, its data items.

Used by: fusefs.nodes.objects and entries. Knows nothing of: directories, what is special to a kind.
"""

import errno
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from backend.model.records import Container, Image, Layer
from drivers.errors import StorageError
from fusefs.nodes.base import gone
from fusefs.nodes.context import TreeContext
from fusefs.nodes.derived import nanoseconds
from fusefs.nodes.guard import ObjectKey
from fusefs.nodes.text import Look

Record = Layer | Image | Container


class Verbs(Protocol):
    """What the store can do to an object of any kind."""

    def set_names(self, ref: str, names: Sequence[str], /) -> Any:
        """Replace all names."""
        ...

    def set_metadata(self, ref: str, text: str, /) -> Any:
        """Replace the metadata."""
        ...

    def big_data(self, ref: str, key: str, /) -> bytes:
        """Read one data item."""
        ...

    def set_big_data(self, ref: str, key: str, data: bytes, /) -> Any:
        """Make or replace one data item."""
        ...

    def remove_big_data(self, ref: str, key: str, /) -> Any:
        """Remove one data item."""
        ...


class StoredObject:
    """One object of the store, found again in the newest records each time it is asked."""

    def __init__(self, context: TreeContext, kind: str, identifier: str) -> None:
        self.context = context
        self.key = ObjectKey(kind, identifier)
        self.id = identifier

    def record(self) -> Record:
        """The record as last seen; ESTALE if the object is gone."""
        records = self.context.records()
        record: Record | None
        if self.key.kind == "layer":
            record = records.layers.get(self.id)
        elif self.key.kind == "image":
            record = records.images.get(self.id)
        else:
            record = records.containers.get(self.id)
        if record is None:
            raise gone(f"{self.key.kind} {self.id}")
        return record

    @property
    def verbs(self) -> Verbs:
        """The verbs of the store for this kind."""
        store = self.context.store
        verbs: Mapping[str, Verbs] = {
            "layer": store.layers,
            "image": store.images,
            "container": store.containers,
        }
        return verbs[self.key.kind]

    def look(self) -> Look:
        """The mtime is when it was created, the ctime when the store last saw it change."""
        created = nanoseconds(self.record().created)
        seen = self.context.seen_ns.get((self.key.kind, self.id), created)
        return Look(self.context.uid, self.context.gid, created, seen)

    # The data items, as fusefs.nodes.bigdata wants them.

    def keys(self) -> Sequence[str]:
        """Keys of the data items."""
        return self.record().big_data_names

    def size(self, key: str) -> int:
        """Bytes of one item: from the record where it is there, else from the item."""
        record = self.record()
        if not isinstance(record, Layer) and key in record.big_data_sizes:
            return record.big_data_sizes[key]
        return len(self.read(key))

    def read(self, key: str) -> bytes:
        """One item."""
        return self.verbs.big_data(self.id, key)

    def write(self, key: str, data: bytes) -> None:
        """Make or replace one item."""
        self.verbs.set_big_data(self.id, key, data)

    def remove(self, key: str) -> None:
        """Remove one item."""
        self.verbs.remove_big_data(self.id, key)

    def given_up(self, what: str, failure: Exception) -> None:
        """Note a failed change that no system call can return."""
        number = failure.errno if isinstance(failure, OSError) and failure.errno else errno.EIO
        remedy = failure.remedy if isinstance(failure, StorageError) else ""
        path = f"{self.key.kind}s/{self.id}/{what}"
        self.context.journal.refused(
            None, "release", path, number, reason=str(failure), remedy=remedy
        )
