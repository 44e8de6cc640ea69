"""What every node of the tree needs: the store, the content of layers, the journal, the guard.

Used by: fusefs.session (makes one), every module of fusefs.nodes; fusefs.nodes.content and
passthrough implement ContentProvider. Knows nothing of: FUSE, event loops, kernel mounts.
"""

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from threading import Lock
from typing import Protocol

from backend.model.records import ContainerID
from backend.model.snapshot import Snapshot
from backend.store import Store
from drivers.ids import LayerID
from fusefs.nodes.base import Directory
from fusefs.nodes.derived import Recent
from fusefs.nodes.guard import DeletionGuard, ObjectKey
from fusefs.nodes.journal import Event, Journal
from fusefs.nodes.pending import Pending


class ContentProvider(Protocol):
    """Directories whose bytes come from a disk. Each call answers without I/O.

    A directory that cannot be shown (a damaged layer) is returned all the same; its own methods
    raise DamagedError or FileNotFoundError. The inode number of the directory itself is the
    node_ino named here, so that it is the same each time; numbers below it are the provider's.
    Deletions inside consult ``TreeContext.guard`` with the key of the object.
    """

    def layer_diff(self, layer: LayerID) -> Directory:
        """The layer's raw content, read-only: node_ino("layer", id, "diff")."""
        ...

    def layer_rootfs(self, layer: LayerID) -> Directory:
        """Merged from the base up to here, read-only: node_ino("layer", id, "rootfs")."""
        ...

    def container_rootfs(self, container: ContainerID) -> Directory:
        """Merged and writable: node_ino("container", id, "rootfs")."""
        ...

    def container_userdata(self, container: ContainerID) -> Directory:
        """The container's own directory: node_ino("container", id, "userdata")."""
        ...

    def container_rundir(self, container: ContainerID) -> Directory:
        """Its run directory: node_ino("container", id, "rundir")."""
        ...

    def withdraw(self, key: ObjectKey) -> None:
        """The object is about to be deleted: give back mounts and descriptors held for it.

        It may block. Raises MountedError if somebody is working inside through the tree.
        """
        ...


@dataclass(frozen=True, kw_only=True)
class TreeContext:
    """One mounted tree. The session builds it in the order of its fields.

    ``uid`` and ``gid`` own every synthetic node, and with ``open_to_all`` others may look into the
    root, whose mode would keep them out even where the kernel lets them in. ``attached`` lists
    where native mounts stand now, as paths in the tree.
    """

    store: Store
    content: ContentProvider
    journal: Journal = field(default_factory=Journal)
    guard: DeletionGuard = field(default_factory=DeletionGuard)
    uid: int = field(default_factory=os.geteuid)
    gid: int = field(default_factory=os.getegid)
    open_to_all: bool = False
    attached: Callable[[], Sequence[str]] = tuple
    started_ns: int = field(default_factory=time.time_ns)
    pending: Pending = field(default_factory=Pending)
    # Steps of an image's layers by image ID and digest of the configuration, which say all.
    steps: Recent[tuple[str, str], Sequence[str]] = field(default_factory=lambda: Recent(256))
    # Kind and ID of an object to the moment at which it was last seen to change. The watcher
    # writes, nodes read; single dict operations, so no lock.
    seen_ns: dict[tuple[str, str], int] = field(default_factory=dict)
    _shown: list[Snapshot] = field(default_factory=list, init=False)
    _shown_lock: Lock = field(default_factory=Lock, init=False)

    def records(self) -> Snapshot:
        """The records as last seen; no I/O."""
        with self._shown_lock:
            snapshot = self.store.cached()
            if not self._shown or self._shown[-1] is not snapshot:
                self._shown.append(snapshot)
            return snapshot

    def shown(self) -> Sequence[Snapshot]:
        """What :meth:`records` returned since the last call, beginning with that time's last one.

        Between two looks of the watcher a verb may have met an object that is gone again: what
        was shown of it must be taken back as well.
        """
        with self._shown_lock:
            shown = tuple(self._shown)
            del self._shown[:-1]
        return shown

    def tell(self, events: Sequence[Event]) -> None:
        """Publish what happened to objects, and note when."""
        now = time.time_ns()
        for event in events:
            if event.event == "deleted":
                self.seen_ns.pop((event.kind, event.id), None)
            else:
                self.seen_ns[event.kind, event.id] = now
            self.journal.publish(event)
