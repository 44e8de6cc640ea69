"""``bigdata/``: the data items of one object as files.

Used by: the directories of layers, images and containers.
Knows nothing of: where items are stored; keys are shown percent-encoded where needed.
"""

import errno
import os
from collections.abc import Callable, Sequence
from typing import ClassVar, Protocol

from backend.codec import bigdataname
from backend.errors import BigDataUnknownError
from fusefs.nodes.base import (
    Attributes,
    Caller,
    File,
    Ino,
    Node,
    OpenFile,
    missing,
    node_ino,
)
from fusefs.nodes.editable import DATA_LIMIT, DiskEditableFile, EditHandle, Value
from fusefs.nodes.guard import DeletionGuard, ObjectKey
from fusefs.nodes.names import LONGEST, decode, encode
from fusefs.nodes.text import Look, SyntheticDirectory


class Items(Protocol):
    """The data items of one object, in the words of the store."""

    def keys(self) -> Sequence[str]:
        """Keys in the order of the record; ESTALE if the object is gone."""
        ...

    def size(self, key: str) -> int:
        """Bytes of one item."""
        ...

    def read(self, key: str) -> bytes:
        """One item."""
        ...

    def write(self, key: str, data: bytes) -> None:
        """Make or replace one."""
        ...

    def remove(self, key: str) -> None:
        """Remove one."""
        ...

    def given_up(self, key: str, failure: Exception) -> None:
        """A change of this item failed when nobody could be told any more."""
        ...


class BigDataDirectory(SyntheticDirectory):
    """The items; creating, replacing and removing files does so with items."""

    in_memory: ClassVar[bool] = True

    def __init__(
        self, key: ObjectKey, items: Items, look: Callable[[], Look], guard: DeletionGuard
    ) -> None:
        super().__init__(node_ino(key.kind, key.id, "bigdata"), look)
        self._key, self._items, self._guard = key, items, guard

    def child(self, name: bytes) -> Node:
        """One item."""
        key = decode(name)
        if key not in self._items.keys():  # noqa: SIM118  a Sequence
            raise missing(name)
        return self._item(key)

    def names(self) -> Sequence[bytes]:
        """All keys that can be names."""
        names = (encode(key) for key in self._items.keys())  # noqa: SIM118  a Sequence
        return tuple(name for name in names if len(name) <= LONGEST)

    def create(self, name: bytes, mode: int, flags: int, caller: Caller) -> tuple[File, OpenFile]:
        """A new item: it is there when the file is closed."""
        del mode, caller
        if len(name) > LONGEST:
            raise OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG), os.fsdecode(name))
        key = decode(name)
        if key in self._items.keys():  # noqa: SIM118  a Sequence
            if flags & os.O_EXCL:
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), os.fsdecode(name))
            item = self._item(key)
            content = b"" if flags & os.O_TRUNC else self._items.read(key)
            return item, EditHandle(item.value, content, truncated=bool(flags & os.O_TRUNC))
        bigdataname.file_name(key)  # rather now than at close
        item = _NewItem(self._item_ino(key), self._look, self._value(key))
        return item, EditHandle(item.value, b"", new=True)

    def unlink(self, name: bytes, caller: Caller) -> None:
        """Remove one item."""
        self._guard.check(self._key, caller, name)
        key = decode(name)
        if key not in self._items.keys():  # noqa: SIM118  a Sequence
            raise missing(name)
        self._items.remove(key)

    def _item(self, key: str) -> "Item":
        return Item(self._item_ino(key), self._look, self._value(key))

    def _item_ino(self, key: str) -> Ino:
        return node_ino(self._key.kind, self._key.id, "bigdata", key)

    def _value(self, key: str) -> Value:
        items = self._items
        return Value(
            read=lambda: items.read(key),
            write=lambda data: items.write(key, data),
            size=lambda: items.size(key),
            given_up=lambda failure: items.given_up(key, failure),
            limit=DATA_LIMIT,
        )


class Item(DiskEditableFile):
    """One data item."""

    def __init__(self, ino: Ino, look: Callable[[], Look], value: Value) -> None:
        super().__init__(ino, look, value)
        self.value = value


class _NewItem(Item):
    """An item that may not be there yet: empty until then."""

    def attributes(self) -> Attributes:
        """Those of the item, or of an empty file before it is stored."""
        try:
            return super().attributes()
        except BigDataUnknownError:
            return self._look().attributes(self.ino, 0o100644)
