"""What layers, images and containers have in common: IDs and names that belong to one record.

Used by: backend.stores.{layers,images,containers}. Knows nothing of: files, locks.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any, Protocol, TypeVar, cast

from backend.errors import DuplicateNameError
from backend.files.lockfile import HeldLock
from backend.model.snapshot import Table
from backend.stores.base import RecordStore, Writer


class Named(Protocol):
    """A record with an ID, names and a file that it came from."""

    @property
    def id(self) -> str:
        """What tells it apart."""
        ...

    @property
    def names(self) -> tuple[str, ...]:
        """What else it answers to."""
        ...

    @property
    def location(self) -> str:
        """Path of its record file."""
        ...


R = TypeVar("R", bound=Named)


def settle_names(records: Sequence[R]) -> tuple[list[R], set[str]]:
    """Leave each name to the last record that claims it; also the files that lost one.

    A name that one record has twice is kept once (containers/storage from 1.62 on writes such
    records and then strips every copy).
    """
    settled = list(records)
    owners: dict[str, int] = {}
    unsaved: set[str] = set()
    for index, record in enumerate(records):
        if not record.names:
            continue
        names = tuple(dict.fromkeys(record.names))
        if names != record.names:
            settled[index] = with_names(record, names)
            unsaved.add(record.location)
        for name in names:
            loser = owners.get(name)
            if loser is not None:
                settled[loser] = without_names(settled[loser], (name,))
                unsaved.add(settled[loser].location)
            owners[name] = index
    return settled, unsaved


def drop_repeated(records: Iterable[R]) -> tuple[list[R], set[str]]:
    """Leave each ID to the first record that has it; also the files of the others."""
    first: dict[str, R] = {}
    unsaved = {r.location for r in records if first.setdefault(r.id, r) is not r}
    return list(first.values()), unsaved


def with_names(record: R, names: Iterable[str]) -> R:
    """The record with other names."""
    return cast(R, cast(Any, record)._replace(names=tuple(names)))


def without_names(record: R, names: Collection[str]) -> R:
    """The record with fewer names."""
    return with_names(record, (name for name in record.names if name not in names))


class NamedWriter(Writer[R]):
    """Changes to records that have names."""

    table_type: type[Table[R]]

    def __init__(self, store: RecordStore[R], held: HeldLock) -> None:
        super().__init__(store, held)
        self._table: Table[R] | None = store.contents.table(self.table_type)

    @property
    def table(self) -> Table[R]:
        """The records with their look-ups, as they are now."""
        if self._table is None:
            self._table = self.table_type(self.records)
        return self._table

    def put(self, record: R) -> None:
        """As in Writer."""
        self._table = None
        super().put(record)

    def drop(self, identifier: str) -> None:
        """As in Writer."""
        self._table = None
        super().drop(identifier)

    def claim_names(self, names: Iterable[str]) -> tuple[str, ...]:
        """*names* for a new record, each once. Raises DuplicateNameError for a taken one."""
        wanted = tuple(dict.fromkeys(names))
        for name in wanted:
            owner = self.table.by_name.get(name)
            if owner is not None:
                raise DuplicateNameError(self.store.kind, name, owner.id)
        return wanted

    def rename(self, record: R, names: Iterable[str]) -> R:
        """Give *record* exactly *names*, taking them from others; both files will be saved."""
        wanted = tuple(dict.fromkeys(names))
        losers = {
            owner.id: owner
            for owner in (self.table.by_name.get(name) for name in wanted)
            if owner is not None and owner.id != record.id
        }
        for loser in losers.values():
            self.put(without_names(loser, wanted))
        renamed = with_names(record, wanted)
        self.put(renamed)
        return renamed

    def at(self, location: str) -> Sequence[R]:
        """As in Writer."""
        return [record for record in self.records if record.location == location]

    def location(self, record: R) -> str:
        """As in Writer."""
        return record.location
