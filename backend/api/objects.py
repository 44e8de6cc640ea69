"""What layers, images and containers have in common as objects of the store: the shared verbs.

Used by: backend.api.{layers,images,containers}. Knows nothing of: creating and deleting.
"""

from collections.abc import Callable, Iterable
from typing import Any, ClassVar, Generic, Protocol, TypeVar, cast

from backend.api.lookup import find
from backend.api.workshop import Workshop, component, storable
from backend.errors import (
    BigDataUnknownError,
    DamagedError,
    InvalidValueError,
    ReadOnlyStoreError,
    UnknownObjectError,
)
from backend.files import bigdata
from backend.model.snapshot import Snapshot, Table
from backend.stores.named import Named, NamedWriter
from backend.stores.transaction import Kind, WriteTx


class Stored(Named, Protocol):
    """A record with metadata and data items."""

    @property
    def metadata(self) -> str:
        """Text that belongs to whoever made the object."""
        ...

    @property
    def big_data_names(self) -> tuple[str, ...]:
        """Keys of the data items."""
        ...

    @property
    def read_only(self) -> bool:
        """Whether it is in an additional store."""
        ...


R = TypeVar("R", bound=Stored)


class Objects(Generic[R]):
    """Verbs on one kind of object. References are IDs, names or unique prefixes of IDs."""

    kind: ClassVar[Kind]
    word: ClassVar[str]
    unknown: ClassVar[type[UnknownObjectError]]

    def __init__(self, shop: Workshop) -> None:
        self._shop = shop

    def find(self, reference: str) -> R:
        """The newest record. Raises LayerUnknownError, ImageUnknownError, ContainerUnknownError."""
        return find(self._table(self._shop.fresh()), reference, self.unknown)

    def set_names(self, reference: str, names: Iterable[str]) -> R:
        """Give it exactly *names*; one that another object of the kind has is taken from it."""
        wanted = checked_names(names)
        return self._rename(reference, lambda _: wanted)

    def add_names(self, reference: str, names: Iterable[str]) -> R:
        """Put *names* in front of those that it has; as with set_names, they are taken."""
        new = checked_names(names)
        return self._rename(reference, lambda old: (*new, *old))

    def remove_names(self, reference: str, names: Iterable[str]) -> R:
        """Take *names* away from it; those that it does not have do not matter."""
        unwanted = frozenset(names)
        return self._rename(reference, lambda old: (n for n in old if n not in unwanted))

    def set_metadata(self, reference: str, text: str) -> R:
        """Replace its metadata."""
        storable("metadata", text)
        return self._change(reference, lambda record: _replaced(record, metadata=text))

    def big_data(self, reference: str, key: str) -> bytes:
        """One data item. Raises BigDataUnknownError, or DamagedError if its file is missing."""
        record = find(self._table(self._shop.snapshots.cached()), reference, self.unknown)
        directory = self._items_directory(record)
        try:
            return bigdata.read(directory, key)
        except FileNotFoundError:
            if key not in record.big_data_names:
                raise BigDataUnknownError(key) from None
            path = bigdata.path_of(directory, key)
            what = f"{self.word} {record.id[:12]}"
            raise DamagedError(what, path, f"item {key!r} has no file") from None

    def set_big_data(self, reference: str, key: str, data: bytes) -> R:
        """Make or replace one data item: the file first, then the record."""
        return self._set_item(reference, key, data, None)

    def remove_big_data(self, reference: str, key: str) -> R:
        """Remove one data item: the record first, then the file."""
        with self._shop.writing(self.kind) as tx:
            writer = self._writer(tx)
            record = self._editable(writer, reference)
            if key not in record.big_data_names:
                raise BigDataUnknownError(key)
            changed = self._without_item(record, key)
            writer.put(changed)
            writer.save()
            bigdata.remove(self._items_directory(record), key)
            return changed

    def _set_item(self, reference: str, key: str, data: bytes, digest: str | None) -> R:
        """A digest is out of the record while it may be that of other bytes."""
        self._check_key(key)
        with self._shop.writing(self.kind) as tx:
            writer = self._writer(tx)
            record = self._editable(writer, reference)
            changed = self._with_item(record, key, data, digest)
            if changed != record and key in record.big_data_names:
                writer.put(self._with_unknown_item(record, key))
                writer.save()
            bigdata.write(self._items_directory(record), key, data)
            if changed != record:
                writer.put(changed)
                writer.save()
            return changed

    def _rename(self, reference: str, names: Callable[[tuple[str, ...]], Iterable[str]]) -> R:
        with self._shop.writing(self.kind) as tx:
            writer = self._writer(tx)
            record = self._to_rename(tx, reference)
            renamed = writer.rename(record, names(record.names))
            writer.save()
            return renamed

    def _to_rename(self, tx: WriteTx, reference: str) -> R:
        return self._editable(self._writer(tx), reference)

    def _change(self, reference: str, change: Callable[[R], R]) -> R:
        with self._shop.writing(self.kind) as tx:
            writer = self._writer(tx)
            record = self._editable(writer, reference)
            changed = change(record)
            if changed != record:
                writer.put(changed)
                writer.save()
            return changed

    def _editable(self, writer: NamedWriter[R], reference: str) -> R:
        try:
            return find(writer.table, reference, self.unknown)
        except self.unknown:
            found = self._table(self._shop.snapshots.cached()).find(reference)
            if found is not None:  # in a store that is only read
                raise ReadOnlyStoreError(f"{self.word} {found.id[:12]}") from None
            raise

    def _check_key(self, key: str) -> None:
        storable("big data key", key)
        bigdata.path_of("", key)

    def _table(self, snapshot: Snapshot) -> Table[R]:
        raise NotImplementedError

    def _writer(self, tx: WriteTx) -> NamedWriter[R]:
        raise NotImplementedError

    def _directory(self) -> str:
        """Where objects of the store itself have their directories."""
        raise NotImplementedError

    def _items_directory(self, record: R) -> str:
        """Where the items of *record* are; those of an additional store are beside its records."""
        base = record.location.rpartition("/")[0] if record.read_only else self._directory()
        return f"{base}/{component(f'{self.word} ID', record.id)}"

    def _with_item(self, record: R, key: str, data: bytes, digest: str | None) -> R:
        raise NotImplementedError

    def _with_unknown_item(self, record: R, key: str) -> R:
        raise NotImplementedError

    def _without_item(self, record: R, key: str) -> R:
        raise NotImplementedError


def checked_names(names: Iterable[str]) -> tuple[str, ...]:
    """*names* if each can be one. Raises InvalidValueError."""
    checked = tuple(storable("name", name) for name in names)
    if "" in checked:
        raise InvalidValueError("name", "", "a name needs at least one character")
    return checked


def _replaced(record: R, **changes: Any) -> R:
    return cast(R, cast(Any, record)._replace(**changes))
