"""Which layers are mounted where, and how often they are in use.

Used by: backend.stores.{transaction,whole}, backend.api.mounts.
Knows nothing of: the kernel's mount table, drivers.
Its lock is the innermost: it is taken while the layers are locked, and briefly. The file is state
of the running machine, so it is replaced whole but not flushed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from backend.codec import recordfiles
from backend.files.lockfile import HeldLock
from backend.files.paths import StorePaths
from backend.files.recordfile import RecordFile
from backend.model.records import MountPoint
from backend.stores.base import RecordStore, Writer

RECORDS = "mountpoints.json"
LOCK = "mountpoints.lock"
_REMEDY = "delete the file once nothing of the store is mounted; it only counts mounts"


class MountPointWriter(Writer[MountPoint]):
    """Changes to mount points."""

    def set(self, mount: MountPoint) -> None:
        """Record a mount; one with no users left is taken out."""
        if mount.count > 0:
            self.put(mount)
        elif self.get(mount.id) is not None:
            self.drop(mount.id)

    def location(self, record: MountPoint) -> str:
        """As in Writer: there is one file."""
        del record
        return self.store.files[0].path


class MountPointStore(RecordStore[MountPoint]):
    """The mount points of a run root."""

    kind = "store"

    def derived(self, file: RecordFile[MountPoint]) -> Mapping[str, Any]:
        """A mount point is what its file says, nothing more."""
        del file
        return {}

    def settle(self, records: list[MountPoint]) -> tuple[list[MountPoint], set[str]]:
        """Only mounts in use count."""
        return [mount for mount in records if mount.count > 0], set()

    def _writer(self, held: HeldLock) -> MountPointWriter:
        return MountPointWriter(self, held)


def primary(paths: StorePaths, *, writable: bool, lock_seconds: float | None) -> MountPointStore:
    """The mount points of the store."""
    directory = paths.run_layers
    path = f"{directory}/{RECORDS}"
    files = [RecordFile(path, recordfiles.MOUNT_POINTS, durable=False, remedy=_REMEDY)]
    return MountPointStore(
        f"{directory}/{LOCK}", files, writable=writable, lock_seconds=lock_seconds
    )
