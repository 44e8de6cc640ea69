"""Records of one kind in one place: load, keep fresh, change, save.

Used by: backend.stores.{layers,images,containers,mountpoints}, backend.stores.transaction.
Knows nothing of: drivers, rules between kinds, lock order.

A store's contents are replaced as a whole, under its lock, and never change in place: readers keep
what they got. What is fresh is decided by the last-write token (read before the files, remembered
only after a successful load) and by each file's signature.
"""

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import cached_property
from operator import attrgetter
from typing import Any, Final, Generic, NamedTuple, TypeVar

from backend.errors import RecordFileError
from backend.files.lockfile import HeldLock, locked
from backend.files.recordfile import RecordFile, Signature
from backend.model.records import EMPTY
from backend.model.snapshot import Problem

R = TypeVar("R")
T = TypeVar("T")

_UNLOCKED_ATTEMPTS: Final = 10
_ID: Final = attrgetter("id")


class Contents(Generic[R]):
    """What a store holds. ``damaged`` files could not be read in full and are never rewritten.

    ``unread`` says why there may be more records than these; it is None if these are all.
    ``unsaved`` are the files whose records were put right in memory only; the next writer saves
    them.
    """

    def __init__(
        self,
        records: Iterable[R] = (),
        problems: Iterable[Problem] = (),
        damaged: Mapping[str, RecordFileError] = EMPTY,
        unsaved: Iterable[str] = (),
        unread: RecordFileError | None = None,
    ) -> None:
        self.records, self.problems = tuple(records), tuple(problems)
        self.damaged, self.unsaved, self.unread = damaged, frozenset(unsaved), unread
        self._table: Any = None

    @cached_property
    def by_id(self) -> Mapping[str, R]:
        """Each by its ID, in their order."""
        return dict(zip(map(_ID, self.records), self.records, strict=True))

    def table(self, kind: Callable[[Sequence[R], RecordFileError | None], T]) -> T:
        """The look-ups over the records, made by *kind* at their first use."""
        if self._table is None:
            self._table = kind(self.records, self.unread)
        table: T = self._table
        return table


class _Seen(NamedTuple):
    """What was on disk when the contents were taken."""

    token: bytes | None
    signatures: tuple[Signature | None, ...]


class RecordStore(Generic[R]):
    """``files`` are in loading order. A store that is not ``writable`` creates nothing.

    Records of an ``additional`` store are read-only for good, whoever opens it.

    Records in two places have a lock in each, taken together: ``partner_lock`` after the own one.
    """

    kind = "record"

    def __init__(
        self,
        lock_path: str,
        files: Sequence[RecordFile[R]],
        *,
        writable: bool,
        lock_seconds: float | None,
        partner_lock: str = "",
        additional: bool = False,
    ) -> None:
        self.lock_path, self.files, self.writable = lock_path, tuple(files), writable
        self.partner_lock, self.additional = partner_lock, additional
        self._lock_seconds = lock_seconds
        # Replaced as a whole under the lock; read without any.
        self.contents: Contents[R] = Contents()
        # Several readers may find the store changed at once: one loads, guarded by this.
        self._loading = threading.Lock()
        self._seen: _Seen | None = None

    @contextmanager
    def reading(self) -> Iterator[Contents[R]]:
        """Hold the lock for reading; give the up-to-date contents."""
        with self._locked(exclusive=False) as held:
            if held is None:
                self._load_unlocked()
            else:
                self._refresh(held)
            yield self.contents

    @contextmanager
    def writing(self) -> Iterator["Writer[R]"]:
        """Hold the lock for writing. Raises RecordFileError if a file could not be rewritten."""
        with self._locked(exclusive=True) as held:
            if held is None:
                raise AssertionError("an exclusive lock always has its file")
            self._refresh(held)
            for error in self.contents.damaged.values():
                raise error.with_traceback(None)  # it is raised again and again
            yield self._writer(held)

    def adopt(self, contents: Contents[R], held: HeldLock, token: bytes) -> None:
        """Take over what a writer has just saved under *held*."""
        self.contents = contents
        self._seen = _Seen(token, self._signatures()) if held.exclusive else None

    def forget(self) -> None:
        """Load again at the next use: a save failed half-way."""
        self._seen = None

    def derived(self, file: RecordFile[R]) -> Mapping[str, Any]:
        """Fields of a record that follow from where it was found."""
        return {"location": file.path, "read_only": self.additional}

    def settle(self, records: list[R]) -> tuple[list[R], set[str]]:
        """Put right what records contradict each other in; also the files that this concerns."""
        return records, set()

    def inspect(self, records: Iterable[R]) -> Iterator[Problem]:
        """What is wrong with single records although they could be read."""
        del records
        return iter(())

    def _writer(self, held: HeldLock) -> "Writer[R]":
        return Writer(self, held)

    @contextmanager
    def _locked(self, *, exclusive: bool) -> Iterator[HeldLock | None]:
        with ExitStack() as stack:
            held = stack.enter_context(self._lock(self.lock_path, exclusive=exclusive))
            if self.partner_lock:
                partner = stack.enter_context(self._lock(self.partner_lock, exclusive=exclusive))
                held = held.together_with(partner) if held and partner else None
            yield held

    def _lock(self, path: str, *, exclusive: bool) -> AbstractContextManager[HeldLock | None]:
        return locked(path, exclusive=exclusive, create=self.writable, seconds=self._lock_seconds)

    def _refresh(self, held: HeldLock) -> None:
        with self._loading:
            now = _Seen(held.token(), self._signatures())
            if now != self._seen:
                self._seen = None
                self.contents = self._load()
                self._seen = now

    def _load_unlocked(self) -> None:
        """Each file is whole at any moment; together they are if none changed meanwhile."""
        with self._loading:
            for _ in range(_UNLOCKED_ATTEMPTS):
                now = _Seen(None, self._signatures())
                if now == self._seen:
                    return
                self.contents = self._load()
                self._seen = now

    def _signatures(self) -> tuple[Signature | None, ...]:
        return tuple(file.signature() for file in self.files)

    def _load(self) -> Contents[R]:
        records: list[R] = []
        problems: list[Problem] = []
        damaged: dict[str, RecordFileError] = {}
        unread: RecordFileError | None = None
        for file in self.files:
            try:
                decoded = file.read(**self.derived(file))
            except RecordFileError as exc:
                damaged[file.path] = exc
                problems.append(Problem("store", "", file.path, exc.reason, exc.remedy))
                unread = unread or exc
                continue
            if emptied := file.emptied():
                problems.append(Problem("store", "", file.path, emptied.reason, emptied.remedy))
                unread = unread or emptied
            records.extend(decoded.records)
            for bad in decoded.bad:
                error = file.bad_record_error(bad)
                damaged.setdefault(file.path, error)
                unread = unread or error
                problems.append(Problem(self.kind, bad.id, file.path, bad.reason, error.remedy))
        settled, unsaved = self.settle(records)
        problems.extend(self.inspect(settled))
        return Contents(settled, problems, damaged, unsaved, unread)


class Writer(Generic[R]):
    """Changes to a store that is locked for writing; :meth:`save` makes them real.

    What is not saved when the lock is left never happened.
    """

    def __init__(self, store: RecordStore[R], held: HeldLock) -> None:
        self.store, self.held = store, held
        self._records: dict[str, R] = dict(store.contents.by_id)
        self._dirty: set[str] = set(store.contents.unsaved)

    @property
    def records(self) -> Iterable[R]:
        """As they are now, saved or not."""
        return self._records.values()

    def get(self, identifier: str) -> R | None:
        """The record with exactly this ID."""
        return self._records.get(identifier)

    def put(self, record: R) -> None:
        """Add a record at the end, or replace the one with its ID in place."""
        self._records[_ID(record)] = record
        self._dirty.add(self.location(record))

    def drop(self, identifier: str) -> None:
        """Take a record out."""
        self._dirty.add(self.location(self._records.pop(identifier)))

    def save(self) -> None:
        """Write the files that changed: token first, then each file as a whole."""
        if not self._dirty:
            return
        token = self.held.renew_token()
        try:
            for file in self.store.files:
                if file.path in self._dirty:
                    file.write(self.at(file.path))
        except BaseException:
            self.store.forget()
            raise
        self._dirty.clear()
        kept = Contents(self.records, self.store.inspect(self.records))
        kept.by_id = dict(self._records)
        self.store.adopt(kept, self.held, token)

    def at(self, location: str) -> Sequence[R]:
        """The records of one file."""
        return [record for record in self.records if self.location(record) == location]

    def location(self, record: R) -> str:
        """Path of the file that the record belongs to."""
        raise NotImplementedError
