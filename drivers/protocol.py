"""What the backend may ask of every driver: the protocol, and its request values.

Used by: backend.store and backend.api; implemented by drivers.overlay, vfs and btrfs.
Knows nothing of: records, locks. A caller holds the store's locks where a verb needs them; a
driver takes none. Paths are str (surrogateescape); names inside layers are bytes.
"""

import enum
from collections.abc import Generator, Sequence
from typing import NamedTuple, Protocol

from drivers.idmap.maps import NO_MAPS, IDMap, MapPair
from drivers.ids import LayerID


class ChangeKind(enum.IntEnum):
    """What a layer does to a path. The values are those of the Go tools' JSON."""

    MODIFY = 0
    ADD = 1
    DELETE = 2


class Change(NamedTuple):
    """One path that a layer adds, changes or removes.

    ``path`` is absolute inside the layer (``b"/etc/motd"``). ``type`` is find(1)'s letter
    (``f d l c b p s``) of what is there now or, for a removal, of what was there before
    (``-`` where that is not known).
    """

    path: bytes
    kind: ChangeKind
    type: str


class DriverOptions(NamedTuple):
    """Where a driver works, and how.

    ``name`` is "" where the first of ``priority`` is taken that works there; without one, the
    first of all. ``options`` are ``NAME.KEY=VALUE`` texts.
    ``image_store`` is another graph root for read-only layers. With ``read_only`` a driver
    creates, mounts and probes nothing in the store. ``sync`` makes its small files durable.
    Without ``shifting`` it must not show layers under other IDs, even if it could.
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
    shifting: bool = True


class NewLayer(NamedTuple):
    """What a driver needs to know to make the directories of a layer."""

    id: LayerID
    parent: LayerID | None = None
    writable: bool = False
    mount_label: str = ""
    uid_map: tuple[IDMap, ...] = ()
    gid_map: tuple[IDMap, ...] = ()


class MountRequest(NamedTuple):
    """How to mount a layer at its place in the driver's home.

    ``options`` replace the configured mount options when there are any, as in the Go tools.
    ``uid_map`` and ``gid_map`` say under which IDs the layers below are shown: host IDs for the
    container's. They are for drivers that shift (drivers.powers.IDShift); content of the layer
    itself is on disk as the host sees it, with and without them.
    """

    layer: LayerID
    read_only: bool = False
    options: tuple[str, ...] = ()
    mount_label: str = ""
    volatile: bool = False
    uid_map: tuple[IDMap, ...] = ()
    gid_map: tuple[IDMap, ...] = ()


class Whiteouts(enum.Enum):
    """What becomes of an entry that says "this is removed" when a layer is unpacked.

    OVERLAY: a character device 0/0, or the opaque attribute, for the kernel. REMOVE: what it names
    is deleted in the tree, which is a copy of the parent's. KEEP: the ``.wh.`` files themselves,
    which the mount program understands.
    """

    OVERLAY = "overlay"
    REMOVE = "remove"
    KEEP = "keep"


class ApplyPlace(NamedTuple):
    """Where the archive of a layer is unpacked, and how.

    ``root`` is a descriptor of the directory; who asked for the place closes it. ``xattr_prefix``
    is that of overlay's attributes. With ``ignore_chown_errors`` owners that cannot be set stay.
    """

    root: int
    whiteouts: Whiteouts
    xattr_prefix: bytes = b"trusted.overlay."
    ignore_chown_errors: bool = False


class StagedLayer(Protocol):
    """Content that its layer does not have yet, in a directory of its own.

    ``place`` belongs to it: its descriptor is closed by :meth:`commit` and :meth:`discard`. What
    a dead process staged is erased by the next :meth:`Driver.cleanup` or :meth:`Driver.stage`.
    """

    @property
    def place(self) -> ApplyPlace:
        """Where the content is unpacked."""
        ...

    def commit(self) -> None:
        """Give the content to the layer, by renaming; the caller holds the lock of the layers."""
        ...

    def discard(self) -> None:
        """Erase what was staged; nothing happens after a commit or a second time."""
        ...


class ContentReader(Protocol):
    """The files that an archive of a layer consists of, by their names in it."""

    def open(self, name: bytes) -> int:
        """Return a descriptor, for reading, of the regular file *name*, which is never followed.

        Raises OSError, also for a name that is no file of the layer or of those below.
        """
        ...

    def close(self) -> None:
        """Release what the reader holds open."""
        ...


class DedupMethod(enum.IntEnum):
    """How files are told to be candidates for sharing. The values are those of the Go tools."""

    CRC = 1
    SIZE = 2
    SHA256 = 3


class Damage(NamedTuple):
    """What is wrong with the directories of a layer. ``mendable``: :meth:`Driver.mend` can."""

    path: str
    reason: str
    remedy: str
    mendable: bool


class Trash(Protocol):
    """Where a removal puts what it renamed away; erased later, outside the locks."""

    def take(self, path: str) -> bool:
        """Rename *path* (file, link or directory) into the trash; False if it is not there."""
        ...


class Driver(Protocol):
    """The contract of every driver. Methods raise drivers.errors only, or OSError as it came."""

    @property
    def name(self) -> str:
        """Canonical name: ``overlay``, ``btrfs``, ``vfs``."""
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

    def create_from_template(self, new: NewLayer, template: LayerID) -> None:
        """Make a layer that shows what *template* shows; *new* says its parent in the records.

        Other IDs are given to its files by :meth:`remap` afterwards.
        """
        ...

    def remap(self, layer: LayerID, old: MapPair, new: MapPair) -> None:
        """Change the owners of all files shown by *layer* from one pair of maps to another.

        A pair is the map of users and the map of groups; an empty map is the identity. Works on
        the files themselves: for drivers that do not shift, and records that name the maps.
        """
        ...

    def stage(self, new: NewLayer) -> StagedLayer:
        """Prepare the content of a new layer outside the store's locks.

        Its owners must be those of the parent: content that is to be remapped is not staged. To
        commit it makes the layer, as :meth:`create` does; nothing of it is left when that fails.
        """
        ...

    def stage_into(self, layer: LayerID, parent: LayerID | None) -> StagedLayer | None:
        """Prepare the content of an existing layer that is empty, likewise.

        None if it is not empty or the driver cannot; :meth:`open_apply` remains. To commit it
        raises LayerDirectoryError if something is in the layer by now; a stop leaves a part.
        """
        ...

    def open_apply(self, layer: LayerID, parent: LayerID | None) -> ApplyPlace:
        """Return the place where an archive is unpacked into an existing layer, directly.

        A stop in between leaves a part of it; the layer must not be mounted.
        """
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

    def changes(
        self,
        layer: LayerID,
        parent: LayerID | None,
        *,
        maps: MapPair = NO_MAPS,
        parent_maps: MapPair = NO_MAPS,
    ) -> Sequence[Change]:
        """What *layer* does to *parent*, sorted by path. Mounts nothing.

        The maps are those by which the owners on disk became what they are (:meth:`remap`).
        """
        ...

    def diff(
        self,
        layer: LayerID,
        parent: LayerID | None,
        *,
        maps: MapPair = NO_MAPS,
        parent_maps: MapPair = NO_MAPS,
    ) -> Generator[bytes, None, None]:
        """Yield what *layer* does to *parent* as an uncompressed tar archive.

        Nothing is opened before the first piece; ``close()`` releases what it reads. Owners in
        the archive are those that a container sees; the maps are those of :meth:`changes`.
        """
        ...

    def diff_size(
        self,
        layer: LayerID,
        parent: LayerID | None,
        *,
        maps: MapPair = NO_MAPS,
        parent_maps: MapPair = NO_MAPS,
    ) -> int:
        """Return how many bytes the files have that *layer* adds to *parent*, each inode once."""
        ...

    def open_content(self, layer: LayerID) -> ContentReader:
        """Return access to the files of *layer* as its archive names them. Mounts nothing."""
        ...

    def open_merged(
        self,
        layer: LayerID,
        uid_map: tuple[IDMap, ...] = (),
        gid_map: tuple[IDMap, ...] = (),
    ) -> int:
        """Return a descriptor of the root of a private, detached, read-only merged view.

        The maps are those of :class:`MountRequest`.

        The caller owns it: it can be read through (``openat``), or attached with
        ``move_mount``. Nothing is recorded or visible anywhere. nosuid and nodev are set.
        """
        ...

    def open_diff(self, layer: LayerID) -> int | None:
        """The same for the layer's raw content; None where it is no directory of its own."""
        ...

    @property
    def whiteouts(self) -> Whiteouts:
        """How :meth:`diff_directory` shows what a layer removes; REMOVE: it is a whole tree."""
        ...

    def inspect(self, layer: LayerID, parent: LayerID | None) -> Sequence[Damage]:
        """What is wrong on disk with a layer that the records put on *parent*.

        Looks at directories, links and small files, at no content. Changes and mounts nothing.
        """
        ...

    def mend(self, layer: LayerID, parent: LayerID | None) -> None:
        """Write again every small file and link that the records and the others still tell.

        Touches no content. The caller holds the layers lock.
        """
        ...

    def cleanup(self) -> None:
        """Erase what dead processes staged and undo what mounting did to the home."""
        ...

    def close(self) -> None:
        """Release what the driver holds open. Mounts stay."""
        ...
