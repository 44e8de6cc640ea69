"""What the backend may ask of a driver: the protocol, its optional powers, its request values.

Used by: backend.store and backend.api; implemented by drivers.overlay and drivers.vfs.
Knows nothing of: records, locks. A caller holds the store's locks where a verb needs them; a
driver takes none. Paths are str (surrogateescape); names inside layers are bytes.
"""

import enum
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from drivers.idmap.maps import IDMap
from drivers.ids import LayerID


class ChangeKind(enum.IntEnum):
    """What a layer does to a path. The values are those of the Go tools' JSON."""

    MODIFY = 0
    ADD = 1
    DELETE = 2


@dataclass(frozen=True, slots=True)
class Change:
    """One path that a layer adds, changes or removes.

    ``path`` is absolute inside the layer (``b"/etc/motd"``). ``type`` is find(1)'s letter
    (``f d l c b p s``) of what is there now or, for a removal, of what was there before
    (``-`` where that is not known).
    """

    path: bytes
    kind: ChangeKind
    type: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DriverOptions:
    """Where a driver works, and how.

    ``name`` is "" where the graph root decides. ``options`` are ``NAME.KEY=VALUE`` texts.
    ``image_store`` is another graph root for read-only layers. With ``read_only`` a driver
    creates, mounts and probes nothing in the store. ``sync`` makes its small files durable.
    """

    graph_root: str
    run_root: str
    name: str = ""
    options: tuple[str, ...] = ()
    image_store: str = ""
    priority: tuple[str, ...] = ()
    read_only: bool = False
    rootless: bool = False
    sync: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class NewLayer:
    """What a driver needs to know to make the directories of a layer."""

    id: LayerID
    parent: LayerID | None = None
    writable: bool = False
    mount_label: str = ""
    uid_map: tuple[IDMap, ...] = ()
    gid_map: tuple[IDMap, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class MountRequest:
    """How to mount a layer at its place in the driver's home.

    ``options`` replace the configured mount options when there are any, as in the Go tools.
    """

    layer: LayerID
    read_only: bool = False
    options: tuple[str, ...] = ()
    mount_label: str = ""
    volatile: bool = False


class Trash(Protocol):
    """Where a removal puts what it renamed away; erased later, outside the locks."""

    def take(self, path: str) -> bool:
        """Rename *path* (file, link or directory) into the trash; False if it is not there."""
        ...


class Driver(Protocol):
    """The contract of every driver. Methods raise drivers.errors only, or OSError as it came."""

    @property
    def name(self) -> str:
        """Canonical name: ``overlay``, ``vfs``."""
        ...

    @property
    def home(self) -> str:
        """GRAPHROOT/NAME."""
        ...

    def check_supported(self) -> None:
        """Raise DriverNotSupportedError where it cannot work (tried once, then remembered)."""
        ...

    def status(self) -> Sequence[tuple[str, str]]:
        """Lines for ``storagefs status``, label and value, worded as the Go tools word them."""
        ...

    def create(self, new: NewLayer) -> None:
        """Make the directories of a new layer. Leaves nothing behind when it fails."""
        ...

    def remove(self, layer: LayerID, trash: Trash) -> None:
        """Rename everything of *layer* into *trash*; what is not there is no error."""
        ...

    def new_trash_root(self, layer: LayerID) -> str:
        """Directory, on the file system of *layer*, in which a trash may be made."""
        ...

    def exists(self, layer: LayerID) -> bool:
        """Whether the driver has a directory for *layer* (its own home or an additional store)."""
        ...

    def list_layers(self) -> Sequence[LayerID]:
        """IDs of all layer directories in the driver's own home."""
        ...

    def mount(self, request: MountRequest) -> str:
        """Mount the merged view at the place where the Go tools mount it; return that path.

        Safe to call when it is mounted already. The caller counts (backend.stores.mountpoints).
        """
        ...

    def unmount(self, layer: LayerID) -> None:
        """Undo :meth:`mount`; no error if nothing is mounted."""
        ...

    def is_mounted(self, path: str) -> bool:
        """Whether the kernel has a mount at *path* (always False where mounts are directories)."""
        ...

    def diff_directory(self, layer: LayerID) -> str:
        """The layer's own directory on disk (raw content)."""
        ...

    def changes(self, layer: LayerID, parent: LayerID | None) -> Sequence[Change]:
        """What *layer* does to *parent*, sorted by path. Mounts nothing."""
        ...

    def open_merged(self, layer: LayerID) -> int:
        """Return a descriptor of the root of a private, detached, read-only merged view.

        The caller owns it: it can be read through (``openat``), or attached with
        ``move_mount``. Nothing is recorded or visible anywhere. nosuid and nodev are set.
        """
        ...

    def open_diff(self, layer: LayerID) -> int | None:
        """The same for the layer's raw content; None where it is no directory of its own."""
        ...

    def close(self) -> None:
        """Release what the driver holds open. Mounts stay."""
        ...


@runtime_checkable
class IDShift(Protocol):
    """A driver that can present a layer under other IDs while it mounts it (a later issue)."""

    def shifts(self, uid_map: tuple[IDMap, ...], gid_map: tuple[IDMap, ...]) -> bool:
        """Whether it can do so for these maps."""
        ...


@runtime_checkable
class ShortLinks(Protocol):
    """A driver whose layers have a second, short name on disk, which its messages quote."""

    def link_of(self, layer: LayerID) -> str | None:
        """The short name of a layer; None if the layer has no directory."""
        ...

    def layer_of_link(self, link: str) -> LayerID | None:
        """The layer that a short name leads to; None if there is no such name."""
        ...

    def links(self) -> Sequence[str]:
        """All short names."""
        ...
