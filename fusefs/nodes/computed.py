"""What a layer changes, where its directory on disk is a full copy: only the changed paths.

Used by: fusefs.nodes.content. Knows nothing of: how changes are found (drivers).
What a layer removes is shown as overlay shows it: a character device 0:0 under the old name.
"""

import errno
import os
import stat
import time
from collections.abc import Callable, Iterable, Sequence
from threading import Lock
from typing import TYPE_CHECKING, Final

from drivers.idmap.maps import NO_MAPS
from drivers.ids import LayerID
from drivers.protocol import Change, ChangeKind
from fusefs.nodes.base import (
    Attributes,
    Caller,
    Directory,
    File,
    Ino,
    Node,
    OpenDirectory,
    OpenFile,
    gone,
    node_ino,
)
from fusefs.nodes.passthrough import BackedDirectory, RootDirectory
from fusefs.nodes.passthrough_node import BackedNode
from fusefs.nodes.passthrough_view import View

if TYPE_CHECKING:
    from backend.store import Store
    from fusefs.nodes.identity import Owners

_FRESH: Final = 1.0
"""Seconds for which the changes of a layer that may change are believed."""


class Branch:
    """A path on which something changed; *deleted* if it is not there any more."""

    __slots__ = ("children", "deleted")

    def __init__(self) -> None:
        self.children: dict[bytes, Branch] = {}
        self.deleted = False


def branches(changes: Iterable[Change]) -> Branch:
    """The changed paths as a tree (pure)."""
    root = Branch()
    for change in changes:
        branch = root
        for component in change.path.split(b"/"):
            if component:
                branch = branch.children.setdefault(component, Branch())
        branch.deleted = change.kind is ChangeKind.DELETE
    return root


def difference_node(
    store: "Store",
    layer: LayerID,
    ino: Ino,
    *,
    immutable: bool,
    owners: "Owners | None" = None,
) -> Directory:
    """The difference of *layer* to its parent, computed when somebody looks into it."""

    def compute() -> Branch:
        table = store.cached().layers
        record = table.get(layer)
        if record is None:
            raise gone(f"layer {layer}")
        parent = table.get(record.parent) if record.parent else None
        return branches(
            store.driver.changes(
                layer,
                record.parent,
                maps=(record.uid_map, record.gid_map),
                parent_maps=(parent.uid_map, parent.gid_map) if parent else NO_MAPS,
            )
        )

    def open_root() -> int:
        flags = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC
        return os.open(store.driver.diff_directory(layer), flags)

    view = View(f"layer\0{layer}\0diff", open_root, immutable=immutable, owners=owners)
    return DifferenceRoot(view, ino, compute)


class DifferenceDirectory(BackedDirectory):
    """A directory of which only what changed is shown."""

    branch: Branch

    def changed(self) -> Branch:
        """What changed below it."""
        return self.branch

    def make(self, view: View, ino: Ino, status: os.stat_result) -> BackedNode:
        """Directories below are shown the same way."""
        if stat.S_ISDIR(status.st_mode):
            return DifferenceDirectory(view, ino, view.identity(status), stat.S_IFDIR)
        return super().make(view, ino, status)

    def adopt(self, name: bytes, status: os.stat_result) -> BackedNode:
        """As for any directory; the node learns what changed below it."""
        node = super().adopt(name, status)
        if isinstance(node, DifferenceDirectory):
            node.branch = self.changed().children[name]
        return node

    def child(self, name: bytes) -> Node:
        """What changed under that name."""
        branch = self.changed().children.get(name)
        if branch is None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), os.fsdecode(name))
        if branch.deleted:
            ino = node_ino("whiteout", self.view.key, str(self.ino), os.fsdecode(name))
            return Whiteout(ino, self)
        return super().child(name)

    def names(self) -> Sequence[bytes]:
        """Names under which something changed."""
        return sorted(self.changed().children)

    def open(self, caller: Caller) -> OpenDirectory:
        """The changed names."""
        del caller
        return OpenDirectory(self.names())


class DifferenceRoot(DifferenceDirectory, RootDirectory):
    """The root: computes the changes when they are needed."""

    def __init__(self, view: View, ino: Ino, compute: Callable[[], Branch]) -> None:
        super().__init__(view, ino)
        self._compute, self._computing = compute, Lock()
        self._known: tuple[float, Branch] | None = None

    def changed(self) -> Branch:
        """What the layer changes."""
        with self._computing:
            known = self._known
            if known is None or (not self.view.immutable and time.monotonic() - known[0] > _FRESH):
                known = self._known = (time.monotonic(), self._compute())
            return known[1]


class Whiteout(File):
    """A removed path."""

    in_memory = False

    def __init__(self, ino: Ino, parent: DifferenceDirectory) -> None:
        super().__init__(ino)
        self._parent = parent

    def attributes(self) -> Attributes:
        """A character device 0:0, as old as the directory that misses it."""
        status = self._parent.status()
        return Attributes(
            ino=self.ino,
            mode=stat.S_IFCHR,
            atime_ns=status.st_atime_ns,
            mtime_ns=status.st_mtime_ns,
            ctime_ns=status.st_ctime_ns,
        )

    def open(self, flags: int, caller: Caller) -> OpenFile:
        """Nothing stands behind it."""
        del flags, caller
        raise OSError(errno.ENXIO, os.strerror(errno.ENXIO))
