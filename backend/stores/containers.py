"""Records of containers.

Used by: backend.stores.{transaction,whole}, backend.api.containers.
Knows nothing of: layers, user data.
Source of the rules: containers/storage containers.go (load), store.go (load, transient mode).
"""

from __future__ import annotations

from backend.codec import recordfiles
from backend.files.lockfile import HeldLock
from backend.files.paths import StorePaths
from backend.files.recordfile import RecordFile
from backend.model.records import Container
from backend.model.snapshot import ContainerTable
from backend.stores.base import RecordStore
from backend.stores.named import NamedWriter, drop_repeated, settle_names

RECORDS = "containers.json"
VOLATILE_RECORDS = "volatile-containers.json"
LOCK = "containers.lock"


class ContainerWriter(NamedWriter[Container]):
    """Changes to containers."""

    table_type = ContainerTable

    @property
    def table(self) -> ContainerTable:
        """The containers with their look-ups, as they are now."""
        table = super().table
        assert isinstance(table, ContainerTable)
        return table


class ContainerStore(RecordStore[Container]):
    """Containers of a graph root."""

    kind = "container"

    def settle(self, records: list[Container]) -> tuple[list[Container], set[str]]:
        """The first record with an ID counts, the last with a name."""
        first, repeated = drop_repeated(records)
        settled, renamed = settle_names(first)
        return settled, repeated | renamed

    def _writer(self, held: HeldLock) -> ContainerWriter:
        return ContainerWriter(self, held)


def primary(paths: StorePaths, *, writable: bool, lock_seconds: float | None) -> ContainerStore:
    """Containers of the store; in transient mode the lock is in the run root, too."""
    files = [
        RecordFile(f"{paths.containers}/{RECORDS}", recordfiles.CONTAINERS),
        RecordFile(
            f"{paths.volatile_containers}/{VOLATILE_RECORDS}", recordfiles.CONTAINERS, durable=False
        ),
    ]
    lock = f"{paths.volatile_containers}/{LOCK}"
    return ContainerStore(lock, files, writable=writable, lock_seconds=lock_seconds)
