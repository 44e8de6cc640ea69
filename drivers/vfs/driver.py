"""The vfs driver, as drivers.protocol asks for it: HOME/dir/ID is the layer's whole tree.

Used by: drivers.registry. Knows nothing of: records, locks.
"""

import os
import stat
from collections.abc import Generator, Sequence
from typing import TYPE_CHECKING, Final

from drivers.errors import (
    DriverOptionError,
    LayerDirectoryError,
    LayerExistsError,
    UnsafeNameError,
)
from drivers.idmap.maps import NO_MAPS, IDMap, MapPair, to_host
from drivers.ids import LayerID, is_path_component
from drivers.protocol import (
    ApplyPlace,
    Change,
    ContentReader,
    Damage,
    DedupMethod,
    DriverOptions,
    MountRequest,
    NewLayer,
    StagedLayer,
    Trash,
    Whiteouts,
)
from drivers.settings import boolean

if TYPE_CHECKING:
    from drivers.naive import TreeDifference

_IGNORE: Final = "ignore_chown_errors"
_STORES: Final = ("imagestore", "additionalimagestore")


class VfsDriver:
    """Layers of one graph root, each a full copy of its parent. Nothing is ever mounted."""

    name = "vfs"

    def __init__(self, options: DriverOptions, settings: Sequence[tuple[str, str]]) -> None:
        self.home = os.path.join(options.graph_root, self.name)
        images = options.image_store or options.graph_root
        self._images = os.path.join(images, self.name)
        self._sync, self._rootless = options.sync, options.rootless
        ignore = dict(settings).get(_IGNORE, "false")
        self._ignore_chown_errors = boolean(f"vfs.{_IGNORE}", ignore)
        others = [os.path.join(store, self.name) for store in _image_stores(settings)]
        self._homes = tuple(dict.fromkeys((self.home, self._images, *others)))

    def check_supported(self) -> None:
        """Any file system will do."""

    def status(self) -> Sequence[tuple[str, str]]:
        """There is nothing to say about vfs."""
        return ()

    def create(self, new: NewLayer) -> None:
        """Copy the parent, or make an empty tree."""
        self._create(new, new.parent)

    def create_from_template(self, new: NewLayer, template: LayerID) -> None:
        """Copy the template."""
        self._create(new, template)

    def remap(self, layer: LayerID, old: MapPair, new: MapPair) -> None:
        """Change the owners of the layer's tree."""
        from drivers.ownership import change_owners, translated

        root = os.open(self._directory(layer), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            change_owners(root, old, new)
            status = os.fstat(root)
            os.fchown(root, *translated((status.st_uid, status.st_gid), old, new, b"."))
        finally:
            os.close(root)

    def _create(self, new: NewLayer, source: LayerID | None) -> None:
        from drivers.erase import erase_tree

        below = None if source is None else self._directory(source)
        path = self._new_directory(new)
        os.makedirs(os.path.dirname(path), 0o700, exist_ok=True)
        try:
            os.mkdir(path, 0o700)
        except FileExistsError:
            raise LayerExistsError(new.id, path) from None
        try:
            self._fill(path, below, new)
            self._sync_names(path)
        except BaseException:
            erase_tree(path)
            raise

    def _fill(self, path: str, source: str | None, new: NewLayer) -> None:
        from drivers.vfs.copying import copy_tree

        if source is not None:
            copy_tree(source, path, devices=not self._rootless)
            return
        os.chmod(path, 0o555)  # noqa: S103 - as the Go tools make it
        owner = (to_host(0, new.uid_map) or 0, to_host(0, new.gid_map) or 0)
        if owner != (os.geteuid(), os.getegid()):
            os.chown(path, *owner)

    def _new_directory(self, new: NewLayer) -> str:
        home = self.home if new.writable else self._images
        return os.path.join(home, "dir", _checked(new.id))

    def _sync_names(self, path: str) -> None:
        from drivers.linux import atomicfile

        if self._sync:
            atomicfile.sync_directory(os.path.dirname(path))

    def stage(self, new: NewLayer) -> StagedLayer:
        """Copy the parent into a place of its own."""
        from drivers.staged import StagedContent

        path = self._new_directory(new)
        parent = None if new.parent is None else self._directory(new.parent)
        tempdirs = os.path.join(os.path.dirname(os.path.dirname(path)), "tempdirs")

        def finish(content: str) -> None:
            os.makedirs(os.path.dirname(path), 0o700, exist_ok=True)
            if os.path.lexists(path):
                raise LayerExistsError(new.id, path)
            os.rename(content, path)
            self._sync_names(path)

        return StagedContent(tempdirs, lambda content: self._stage(content, parent, new), finish)

    def _stage(self, path: str, parent: str | None, new: NewLayer) -> ApplyPlace:
        os.mkdir(path, 0o700)
        self._fill(path, parent, new)
        return self._place(path)

    def _place(self, path: str) -> ApplyPlace:
        return ApplyPlace(
            os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC),
            Whiteouts.REMOVE,
            ignore_chown_errors=self._ignore_chown_errors,
        )

    def open_apply(self, layer: LayerID, parent: LayerID | None) -> ApplyPlace:
        """The layer's directory, which has a copy of *parent*."""
        del parent
        return self._place(self._directory(layer))

    def remove(self, layer: LayerID, trash: Trash) -> None:
        """Rename the layer's directory into *trash*."""
        path = self._find(layer, (self.home, self._images))
        if path is not None:
            trash.take(path)

    def new_trash_root(self, layer: LayerID) -> str:
        """Return the trash directory in the home that has *layer*."""
        path = self._find(layer, (self.home, self._images))
        home = os.path.dirname(os.path.dirname(path)) if path else self.home
        return os.path.join(home, "tempdirs")

    def exists(self, layer: LayerID) -> bool:
        """Whether any home has a directory for *layer*."""
        return self._find(layer, self._homes) is not None

    def list_layers(self) -> Sequence[LayerID]:
        """Return the layers of the driver's own home."""
        try:
            with os.scandir(os.path.join(self.home, "dir")) as entries:
                names = [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
        except FileNotFoundError:
            return []
        return [LayerID(name) for name in sorted(names)]

    def mount(self, request: MountRequest) -> str:
        """Return the layer's directory."""
        for option in request.options:
            if option != "ro":
                raise DriverOptionError(option, "vfs mounts nothing", remedy="remove the option")
        return self._directory(request.layer)

    def unmount(self, layer: LayerID) -> None:
        """Nothing is mounted."""

    def is_mounted(self, path: str) -> bool:  # noqa: ARG002 - the protocol's argument
        """Nothing is mounted."""
        return False

    def diff_directory(self, layer: LayerID) -> str:
        """Return the layer's directory."""
        return self._directory(layer)

    def changes(
        self,
        layer: LayerID,
        parent: LayerID | None,
        *,
        maps: MapPair = NO_MAPS,
        parent_maps: MapPair = NO_MAPS,
    ) -> Sequence[Change]:
        """Compare the two trees."""
        return self._difference(layer, parent, maps, parent_maps).changes()

    def diff(
        self,
        layer: LayerID,
        parent: LayerID | None,
        *,
        maps: MapPair = NO_MAPS,
        parent_maps: MapPair = NO_MAPS,
    ) -> Generator[bytes, None, None]:
        """The same as an archive."""
        return self._difference(layer, parent, maps, parent_maps).archive()

    def diff_size(
        self,
        layer: LayerID,
        parent: LayerID | None,
        *,
        maps: MapPair = NO_MAPS,
        parent_maps: MapPair = NO_MAPS,
    ) -> int:
        """The same as a size."""
        return self._difference(layer, parent, maps, parent_maps).size()

    def _difference(
        self, layer: LayerID, parent: LayerID | None, maps: MapPair, parent_maps: MapPair
    ) -> "TreeDifference":
        from drivers.naive import TreeDifference

        def opened(one: LayerID) -> int:
            return os.open(self._directory(one), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)

        return TreeDifference(opened, layer, parent, maps, parent_maps)

    def open_merged(
        self,
        layer: LayerID,
        uid_map: tuple[IDMap, ...] = (),
        gid_map: tuple[IDMap, ...] = (),
    ) -> int:
        """Return a private read-only view of the layer's directory; owners are as on disk."""
        from drivers.linux import mount

        del uid_map, gid_map

        return mount.read_only_copy(self._directory(layer))

    def open_content(self, layer: LayerID) -> ContentReader:
        """The files in the layer's directory."""
        from drivers.content import ContentDirectories

        return ContentDirectories([self._directory(layer)])

    def open_diff(self, layer: LayerID) -> int | None:  # noqa: ARG002 - the protocol's argument
        """A vfs layer has no content of its own."""
        return None

    def dedup(self, layers: Sequence[LayerID], method: DedupMethod) -> int:
        """Let equal files of the layers share their blocks."""
        from drivers.dedup import share_equal_files

        return share_equal_files([self._directory(layer) for layer in layers], method)

    @property
    def whiteouts(self) -> Whiteouts:
        """A layer is a whole tree."""
        return Whiteouts.REMOVE

    def inspect(self, layer: LayerID, parent: LayerID | None) -> Sequence[Damage]:
        """A layer is one directory: it is there or it is not."""
        del parent
        if self.exists(layer):
            return ()
        path = os.path.join(self.home, "dir", layer)
        remedy = "delete the layer and what stands on it, then pull its image again"
        return (Damage(path, "is missing", remedy, mendable=False),)

    def mend(self, layer: LayerID, parent: LayerID | None) -> None:
        """There are no small files."""

    def cleanup(self) -> None:
        """Erase what dead processes staged."""
        from drivers.trash import recover_stale

        for home in dict.fromkeys((self.home, self._images)):
            recover_stale(os.path.join(home, "tempdirs"))

    def close(self) -> None:
        """Nothing is held open."""

    def _directory(self, layer: LayerID) -> str:
        found = self._find(layer, self._homes)
        if found is None:
            path = os.path.join(self.home, "dir", _checked(layer))
            remedy = "remove the layer and pull or build its image again"
            raise LayerDirectoryError(layer, path, "is missing", remedy=remedy)
        return found

    def _find(self, layer: LayerID, homes: Sequence[str]) -> str | None:
        if not is_path_component(layer):
            return None
        for home in homes:
            path = os.path.join(home, "dir", layer)
            try:
                if stat.S_ISDIR(os.lstat(path).st_mode):
                    return path
            except (FileNotFoundError, NotADirectoryError):
                continue
        return None


def _checked(layer: str) -> str:
    if not is_path_component(layer):
        raise UnsafeNameError("layer ID", layer)
    return layer


def _image_stores(settings: Sequence[tuple[str, str]]) -> list[str]:
    stores: list[str] = []
    for key, value in settings:
        if key in _STORES:
            stores += [store.strip() for store in value.split(",") if store.strip()]
        elif key != _IGNORE:
            remedy = f"known are {', '.join((*_STORES, _IGNORE))}"
            raise DriverOptionError(f"vfs.{key}", "is unknown", remedy=remedy)
    return stores
