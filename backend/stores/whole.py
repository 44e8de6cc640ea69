"""All record stores of a graph root together, as snapshots.

Used by: backend.store, backend.api. Knows nothing of: verbs, drivers.
"""

from __future__ import annotations

import operator
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain, islice
from typing import Any, TypeVar

from backend.errors import RecordFileError
from backend.files.paths import StorePaths
from backend.files.unsettled import Unsettled
from backend.model.reach import contradictions
from backend.model.records import Image, Layer
from backend.model.snapshot import ContainerTable, ImageTable, LayerTable, Problem, Snapshot
from backend.stores import containers, images, layers, mountpoints
from backend.stores.base import Contents, RecordStore
from backend.stores.transaction import Stores, reading


def open_stores(
    paths: StorePaths, *, additional: Iterable[str], writable: bool, lock_seconds: float
) -> Stores:
    """Name every record store of a graph root. Nothing is read, locked or created yet."""
    more_layers = [
        layers.additional(f"{root}/{paths.driver}-layers", lock_seconds=lock_seconds)
        for root in additional
    ]
    more_images = [
        images.additional(f"{root}/{paths.driver}-images", lock_seconds=lock_seconds)
        for root in additional
    ]
    graph_images = images.in_graph_root(paths, writable=writable, lock_seconds=lock_seconds)
    if graph_images is not None:
        more_images.insert(0, graph_images)
    return Stores(
        graph_lock=paths.graph_lock,
        userns_lock=paths.userns_lock,
        layers=layers.primary(paths, writable=writable, lock_seconds=lock_seconds),
        more_layers=tuple(more_layers),
        images=images.primary(paths, writable=writable, lock_seconds=lock_seconds),
        more_images=tuple(more_images),
        containers=containers.primary(paths, writable=writable, lock_seconds=lock_seconds),
        mounts=mountpoints.primary(paths, writable=writable, lock_seconds=lock_seconds),
        unsettled=Unsettled(paths.unsettled_layers),
        lock_seconds=lock_seconds,
        graph_images=graph_images,
    )


T = TypeVar("T")


class Snapshots:
    """Makes snapshots; a table is made anew only if records of its kind changed."""

    def __init__(self, stores: Stores) -> None:
        self._stores = stores
        self._groups: tuple[Sequence[RecordStore[Any]], ...] = (
            (stores.layers, *stores.more_layers),
            (stores.images, *stores.more_images),
            (stores.containers,),
            (stores.mounts,),
        )
        self._every: tuple[RecordStore[Any], ...] = tuple(chain.from_iterable(self._groups))
        # Guards the rest: what the last snapshot was made of, and the snapshot.
        self._mutex = threading.Lock()
        self._seen: list[Contents[Any]] = []
        self._made_of: tuple[tuple[Contents[Any], ...], ...] = ((), (), (), ())
        self._last = Snapshot(LayerTable(), ImageTable(), ContainerTable(), {})
        # Whether there were names of unsettled layers at the last look: their writers are dead.
        self._unsettled = False

    def take(self) -> Snapshot:
        """Every record as of now, under brief read locks."""
        with reading(self._stores):
            self._unsettled = bool(self._stores.unsettled.find())
            return self.cached()

    def cached(self) -> Snapshot:
        """Every record as last loaded or saved by this process; no I/O and no store lock.

        Asked several times for each request of a mount, so a look that finds nothing new is short.
        """
        with self._mutex:
            seen = [store.contents for store in self._every]
            if not _same(seen, self._seen):
                rest = iter(seen)
                made_of = tuple(tuple(islice(rest, len(group))) for group in self._groups)
                self._last = self._compose(made_of)
                self._made_of, self._seen = made_of, seen
            return self._last

    def need_mending(self) -> bool:
        """Whether the last look found what the next writer should put right."""
        stores = self._stores
        own: list[RecordStore[Any]] = [stores.layers, stores.images, stores.containers]
        if stores.graph_images is not None:
            own.append(stores.graph_images)
        return stores.layers.writable and (
            self._unsettled
            or any(store.contents.unsaved for store in own)
            or bool(stores.layers.contents.table(LayerTable).incomplete)
        )

    def watched(self) -> Sequence[str]:
        """Files that are replaced, or written to, whenever a record changes."""
        files = [
            path
            for store in self._every
            for path in (*(file.path for file in store.files), store.lock_path, store.partner_lock)
            if path
        ]
        return tuple(dict.fromkeys(files))

    def _compose(self, made_of: tuple[tuple[Contents[Any], ...], ...]) -> Snapshot:
        last, before = self._last, self._made_of
        layer_contents, image_contents, container_contents, mount_contents = made_of
        layer_table = (
            last.layers if _same(layer_contents, before[0]) else _table(LayerTable, layer_contents)
        )
        image_table = (
            last.images if _same(image_contents, before[1]) else _table(ImageTable, image_contents)
        )
        container_table = (
            last.containers
            if _same(container_contents, before[2])
            else _table(ContainerTable, container_contents)
        )
        mounts = (
            last.mounts
            if _same(mount_contents, before[3])
            else {mount.id: mount for mount in mount_contents[0].records}
        )

        def problems() -> Iterator[Problem]:
            for one in chain.from_iterable(made_of):
                yield from one.problems
            yield from contradictions(layer_table, image_table, container_table)

        return Snapshot(layer_table, image_table, container_table, mounts, problems)


def _same(some: Sequence[object], others: Sequence[object]) -> bool:
    """Whether two sequences are made of the same objects."""
    return len(some) == len(others) and all(map(operator.is_, some, others))


def _table(
    kind: Callable[[Iterable[Any], RecordFileError | None], T], group: Sequence[Contents[Any]]
) -> T:
    """Records of all stores; the first store that has an ID wins."""
    if len(group) == 1:
        return group[0].table(kind)
    found: dict[str, Layer | Image] = {}
    for contents in group:
        for record in contents.records:
            found.setdefault(record.id, record)
    return kind(found.values(), next((one.unread for one in group if one.unread), None))
