"""Content of layers and containers as directories: which view stands where, and what it costs.

Used by: fusefs.session (makes one Content), object nodes (through ContentProvider), fusefs.native.
Knows nothing of: FUSE, event loops, where a kernel mount is attached.

A view is opened when somebody looks into it, and closed again when nobody did for a while. The
root file system of a container is its overlay mount, counted in the store while a view or a
native mount needs it; everything else is a private read-only mount of the driver.
"""

import os
import stat
import time
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING, Final, Protocol
from weakref import WeakValueDictionary

from backend.errors import ContainerUnknownError, MountedError
from backend.model.records import Container, ContainerID
from drivers.ids import LayerID
from drivers.linux import mount
from drivers.protocol import Whiteouts
from fusefs.nodes import computed
from fusefs.nodes.base import Attributes, Directory, Ino, node_ino
from fusefs.nodes.guard import DeletionGuard, ObjectKey
from fusefs.nodes.identity import AS_STORED, Looks, Owners
from fusefs.nodes.passthrough import RootDirectory, directory_node
from fusefs.nodes.passthrough_view import View

if TYPE_CHECKING:
    from backend.store import Store

_PATIENCE: Final = 0.2
_OPEN_VIEWS: Final = 128
_ALWAYS: Final = mount.MOUNT_ATTR_NOSUID | mount.MOUNT_ATTR_NODEV


class Holder(Protocol):
    """Takes and gives back counted mounts of containers (fusefs.heldmounts)."""

    def take(self, container: ContainerID) -> str:
        """Mount the container, count it, and return where it is."""
        ...

    def give_back(self, container: ContainerID) -> None:
        """Undo one :meth:`take`."""
        ...


@dataclass(frozen=True, slots=True)
class Source:
    """How to get at one content.

    ``open`` returns the descriptor of a detached mount (or, where this process may not mount, of
    the directory itself); ``close`` gives back what ``open`` counted.
    """

    open: Callable[[], int]
    close: Callable[[], None]


class ContentDirectory(RootDirectory):
    """A directory that can carry a native mount (tree.md: [native]).

    Its attributes answer from memory: those of the content once it was opened, before that only
    what every root of a tree has. Where a native mount may come (*covered*) the kernel asks anew
    each time; the request that asks covers the directory, or opens the content.
    """

    attributes_in_memory = True

    def __init__(
        self, view: View, ino: Ino, key: ObjectKey, source: Source, *, covered: bool
    ) -> None:
        super().__init__(view, ino)
        self.key = key
        self.source = source
        if covered:
            self.attr_timeout = 0.0

    def attributes(self) -> Attributes:
        """Attributes of the content's root, as far as they are known without opening it."""
        if self.view.is_open:
            return self.shown(self.status())
        unknown = Attributes(ino=self.ino, mode=stat.S_IFDIR | 0o755, nlink=2, settled=False)
        return self.view.shown(unknown)


class Content:
    """The content of one store: a ContentProvider (fusefs.nodes.context)."""

    def __init__(
        self,
        store: "Store",
        holder: Holder,
        guard: DeletionGuard,
        *,
        can_mount: bool,
        covered: bool = False,
        read_only: bool = False,
        looks: Looks = AS_STORED,
    ) -> None:
        self._store, self._holder, self._guard, self._looks = store, holder, guard, looks
        self._can_mount, self._covered, self._read_only = can_mount, covered, read_only
        self.detach: Callable[[ObjectKey], None] = _nothing_attached
        """Takes native mounts of an object away (fusefs.native); MountedError if one is busy."""
        self._lock = Lock()
        # By view key. Views that are open are held, whoever else forgot them: they cost counts.
        self._views: WeakValueDictionary[str, View] = WeakValueDictionary()
        self._opened: dict[str, tuple[View, ObjectKey]] = {}

    def _has_whole_trees(self) -> bool:
        """Whether a layer's directory is all that the layer shows: nothing needs to be mounted."""
        return self._store.driver.whiteouts is Whiteouts.REMOVE

    # ContentProvider

    def layer_diff(self, layer: LayerID) -> Directory:
        """The layer's raw content, read-only."""
        ino = node_ino("layer", layer, "diff")
        if self._has_whole_trees():
            return computed.difference_node(
                self._store,
                layer,
                ino,
                immutable=self._is_still(layer),
                owners=self._owners(layer),
            )
        source = Source(lambda: self._diff(layer), _nothing)
        return self._directory(
            ("layer", layer, "diff"),
            source,
            immutable=self._is_still(layer),
            owners=self._owners(layer),
        )

    def layer_rootfs(self, layer: LayerID) -> Directory:
        """Merged from the base up to here, read-only."""
        source = Source(lambda: self._store.driver.open_merged(layer), _nothing)
        return self._directory(
            ("layer", layer, "rootfs"),
            source,
            immutable=self._is_still(layer),
            owners=self._owners(layer),
            rebase=self._looks.rebase,
        )

    def container_rootfs(self, container: ContainerID) -> Directory:
        """Merged and writable, through the container's own mount.

        Read-only where the driver must mount for that and this process may not: a mount of its own
        beside that of the container's tools would damage what they write.
        """
        role = ("container", container, "rootfs")
        writable = not self._read_only and (self._can_mount or self._has_whole_trees())
        if not writable:
            source = Source(lambda: self._frozen(container), _nothing)
        else:
            source = Source(
                lambda: self._rootfs(container), lambda: self._holder.give_back(container)
            )
        return self._directory(
            role,
            source,
            writable=writable,
            owners=self._owners(self._layer_of(container)),
            rebase=self._looks.rebase,
        )

    def container_userdata(self, container: ContainerID) -> Directory:
        """The container's own directory."""
        verbs = self._store.containers
        return self._plain(verbs.directory, container, "userdata")

    def container_rundir(self, container: ContainerID) -> Directory:
        """Its run directory."""
        verbs = self._store.containers
        return self._plain(verbs.run_directory, container, "rundir")

    def withdraw(self, key: ObjectKey) -> None:
        """Give back what is held for an object; MountedError if it is in use through the tree.

        Waits a moment: a file that was closed, or that a child has inherited, is open until the
        kernel has told so, or the child has begun its program.
        """
        deadline = time.monotonic() + _PATIENCE
        while True:
            try:
                self.let_go(key)
            except MountedError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(_PATIENCE / 20)
            else:
                return

    def let_go(self, key: ObjectKey) -> None:
        """The same without waiting."""
        self.detach(key)
        with self._lock:
            views = [view for view, owner in self._opened.values() if owner == key]
        for view in views:
            if not view.close_if_idle(0.0):
                raise MountedError(
                    f"{key.kind} {key.id}",
                    ["a file that is open through this tree"],
                    remedy="close the files below it, then try again",
                )

    # For the session

    def close_idle(self, seconds: float) -> None:
        """Close the views that nobody looked into for *seconds*."""
        with self._lock:
            views = [view for view, _ in self._opened.values()]
        for view in views:
            view.close_if_idle(seconds)

    def close(self) -> None:
        """Close everything and give all counts back; the tree is gone."""
        with self._lock:
            views = [view for view, _ in self._opened.values()]
        for view in views:
            view.close()

    # Opening

    def _directory(
        self,
        role: tuple[str, str, str],
        source: Source,
        *,
        writable: bool = False,
        immutable: bool = False,
        owners: Owners | None = None,
        rebase: bool = False,
    ) -> ContentDirectory:
        name, key = "\0".join(role), ObjectKey(role[0], role[1])
        with self._lock:
            view = self._views.get(name)
            if view is None:
                view = View(
                    name,
                    lambda: self._open(name, key, source),
                    writable=writable,
                    immutable=immutable,
                    close_root=lambda: self._closed(name, source),
                    may_delete=lambda caller, entry: self._guard.check(key, caller, entry),
                    owners=owners,
                    rebase=rebase,
                )
                self._views[name] = view
        return ContentDirectory(view, node_ino(*role), key, source, covered=self._covered)

    def _open(self, name: str, key: ObjectKey, source: Source) -> int:
        self._make_room()
        fd = source.open()
        with self._lock:
            self._opened[name] = (self._views[name], key)
        return fd

    def _closed(self, name: str, source: Source) -> None:
        with self._lock:
            self._opened.pop(name, None)
        source.close()

    def _make_room(self) -> None:
        """Close the view that nobody looked into for longest, if there are too many."""
        with self._lock:
            views = [view for view, _ in self._opened.values()]
        if len(views) < _OPEN_VIEWS:
            return
        for view in sorted(views, key=lambda view: view.last_used):
            if view.close_if_idle(0.0):
                return

    def _plain(self, place: Callable[[str], str], container: ContainerID, role: str) -> Directory:
        return directory_node(
            lambda: place(container), "container", container, role, writable=not self._read_only
        )

    def _owners(self, layer: LayerID) -> Owners | None:
        """How owners of a layer's files are shown: by its own maps, or by its container's."""
        snapshot = self._store.cached()
        record = snapshot.layers.get(layer)
        if record is not None and (record.uid_map or record.gid_map):
            return self._looks.owners(record.uid_map, record.gid_map)
        user = snapshot.containers.by_layer.get(layer)
        if user is None:
            return self._looks.owners((), ())
        return self._looks.owners(user.uid_map, user.gid_map, shifted=True)

    def _layer_of(self, container: ContainerID) -> LayerID:
        record = self._store.cached().containers.get(container)
        return LayerID("") if record is None else record.layer

    def _is_still(self, layer: LayerID) -> bool:
        """Whether nobody can change the layer: it is not the writable one of a container."""
        return layer not in self._store.cached().containers.by_layer

    def _diff(self, layer: LayerID) -> int:
        fd = self._store.driver.open_diff(layer)
        if fd is None:
            raise FileNotFoundError(f"layer {layer} has no directory of its own")
        return fd

    def _rootfs(self, container: ContainerID) -> int:
        path = self._holder.take(container)
        try:
            if not self._can_mount:
                return os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
            fd = mount.open_tree(path, clone=True)
            try:
                mount.set_attributes(fd, set=_ALWAYS)
            except OSError:
                os.close(fd)
                raise
        except OSError:
            self._holder.give_back(container)
            raise
        return fd

    def _frozen(self, container: ContainerID) -> int:
        return self._store.mounts.open_view(self._record(container).id)

    def _record(self, container: ContainerID) -> Container:
        record = self._store.cached().containers.get(container)
        if record is None:
            raise ContainerUnknownError(container)
        return record


def _nothing() -> None:
    """Nothing was counted."""


def _nothing_attached(key: ObjectKey) -> None:
    del key
