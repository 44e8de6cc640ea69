"""What drivers have in common whose layers are whole trees, each a copy of the one below.

Used by: drivers.vfs, drivers.btrfs. Knows nothing of: how a copy is made, records, locks.
Nothing is ever mounted, and nothing is special in a tree: the differences are found by looking.
"""

import os
import stat
from abc import abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING

from drivers.comparing import Comparing
from drivers.errors import (
    DriverOptionError,
    LayerDirectoryError,
    LayerExistsError,
    UnsafeNameError,
)
from drivers.idmap.maps import IDMap, MapPair
from drivers.idmap.owners import owner_of_root
from drivers.ids import LayerID, is_path_component
from drivers.linux.presence import is_there
from drivers.protocol import (
    ApplyPlace,
    ContentReader,
    Damage,
    MountRequest,
    NewLayer,
    StagedLayer,
    Whiteouts,
)

if TYPE_CHECKING:
    from drivers.naive import TreeDifference


class WholeTrees(Comparing):
    """A drivers.protocol.Driver but for what a subclass must say.

    HOME/``directory_name``/ID is a tree. ``homes`` are all that have some, the own one first.
    """

    name: str
    directory_name: str
    home: str
    homes: tuple[str, ...]
    ignore_chown_errors = False

    @abstractmethod
    def make_tree(self, path: str, source: LayerID | None, new: NewLayer) -> None:
        """Make *path*, which is not there: a copy of the tree of *source*, or an empty one.

        What is left of it after an error is erased.
        """

    @abstractmethod
    def finish_tree(self, path: str, new: NewLayer) -> None:
        """Do what remains when the tree of *new* is at its place, *path*."""

    def home_for(self, new: NewLayer) -> str:  # noqa: ARG002 - for those that have several
        """Return the home that a new layer belongs in."""
        return self.home

    def create(self, new: NewLayer) -> None:
        """Copy the parent, or make an empty tree."""
        self._create(new, new.parent)

    def create_from_template(self, new: NewLayer, template: LayerID) -> None:
        """Copy the template."""
        self._create(new, template)

    def _create(self, new: NewLayer, source: LayerID | None) -> None:
        from drivers.erase import erase_tree

        path = self._new_path(new, source)
        os.makedirs(self.home_for(new), 0o700, exist_ok=True)
        os.makedirs(os.path.dirname(path), 0o700, exist_ok=True)
        if is_there(path):
            raise LayerExistsError(new.id, path)
        try:
            self.make_tree(path, source, new)
            self.finish_tree(path, new)
        except BaseException:
            erase_tree(path)
            raise

    def _new_path(self, new: NewLayer, source: LayerID | None) -> str:
        """Return where *new* belongs; what it is to be a copy of must be there."""
        if source is not None:
            self.directory(source)
        return os.path.join(self.home_for(new), self.directory_name, _checked(new.id))

    def stage(self, new: NewLayer) -> StagedLayer:
        """Copy the parent into a place of its own."""
        from drivers.erase import erase_tree
        from drivers.staged import StagedContent

        path = self._new_path(new, new.parent)

        def prepare(content: str) -> ApplyPlace:
            self.make_tree(content, new.parent, new)
            return self._place(content)

        def finish(content: str) -> None:
            os.makedirs(os.path.dirname(path), 0o700, exist_ok=True)
            if is_there(path):
                raise LayerExistsError(new.id, path)
            os.rename(content, path)
            try:
                self.finish_tree(path, new)
            except BaseException:
                erase_tree(path)
                raise

        return StagedContent(os.path.join(self.home_for(new), "tempdirs"), prepare, finish)

    def remap(self, layer: LayerID, old: MapPair, new: MapPair) -> None:
        """Change the owners of the layer's tree."""
        from drivers.ownership import change_owners, translated

        root = os.open(self.directory(layer), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            change_owners(root, old, new)
            status = os.fstat(root)
            os.fchown(root, *translated((status.st_uid, status.st_gid), old, new, b"."))
        finally:
            os.close(root)

    def _place(self, path: str) -> ApplyPlace:
        return ApplyPlace(
            os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC),
            Whiteouts.REMOVE,
            ignore_chown_errors=self.ignore_chown_errors,
        )

    def stage_into(self, layer: LayerID, parent: LayerID | None) -> StagedLayer | None:
        """A layer has the tree of its parent: it is changed in place."""
        del layer, parent
        return None

    def open_apply(self, layer: LayerID, parent: LayerID | None) -> ApplyPlace:
        """The layer's directory, which has a copy of *parent*."""
        del parent
        return self._place(self.directory(layer))

    def exists(self, layer: LayerID) -> bool:
        """Whether any home has a directory for *layer*."""
        return self.find(layer, self.homes) is not None

    def list_layers(self) -> Sequence[LayerID]:
        """Return the layers of the driver's own home."""
        try:
            with os.scandir(os.path.join(self.home, self.directory_name)) as entries:
                names = [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
        except FileNotFoundError:
            return []
        return [LayerID(name) for name in sorted(names)]

    def mount(self, request: MountRequest) -> str:
        """Return the layer's directory."""
        for option in request.options:
            if option != "ro":
                reason = f"{self.name} mounts nothing"
                raise DriverOptionError(option, reason, remedy="remove the option")
        return self.directory(request.layer)

    def unmount(self, layer: LayerID) -> None:
        """Nothing is mounted."""

    def is_mounted(self, path: str) -> bool:  # noqa: ARG002 - the protocol's argument
        """Nothing is mounted."""
        return False

    def diff_directory(self, layer: LayerID) -> str:
        """Return the layer's directory."""
        return self.directory(layer)

    def _difference(
        self, layer: LayerID, parent: LayerID | None, maps: MapPair, parent_maps: MapPair
    ) -> "TreeDifference":
        from drivers.naive import TreeDifference

        def opened(one: LayerID) -> int:
            return os.open(self.directory(one), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)

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

        return mount.read_only_copy(self.directory(layer))

    def open_content(self, layer: LayerID) -> ContentReader:
        """The files in the layer's directory."""
        from drivers.content import ContentDirectories

        return ContentDirectories([self.directory(layer)])

    def open_diff(self, layer: LayerID) -> int | None:  # noqa: ARG002 - the protocol's argument
        """A layer has no content of its own."""
        return None

    @property
    def whiteouts(self) -> Whiteouts:
        """A layer is a whole tree."""
        return Whiteouts.REMOVE

    def inspect(self, layer: LayerID, parent: LayerID | None) -> Sequence[Damage]:
        """A layer is one directory: it is there or it is not."""
        del parent
        if self.exists(layer):
            return ()
        path = os.path.join(self.home, self.directory_name, layer)
        remedy = "delete the layer and what stands on it, then pull its image again"
        return (Damage(path, "is missing", remedy, mendable=False),)

    def mend(self, layer: LayerID, parent: LayerID | None) -> None:
        """There are no small files."""

    def close(self) -> None:
        """Nothing is held open."""

    def directory(self, layer: LayerID) -> str:
        """Return the tree of *layer*. Raises LayerDirectoryError if there is none."""
        found = self.find(layer, self.homes)
        if found is None:
            path = os.path.join(self.home, self.directory_name, _checked(layer))
            remedy = "remove the layer and pull or build its image again"
            raise LayerDirectoryError(layer, path, "is missing", remedy=remedy)
        return found

    def find(self, layer: LayerID, homes: Sequence[str]) -> str | None:
        """Return the tree of *layer* in the first of *homes* that has it."""
        if not is_path_component(layer):
            return None
        for home in homes:
            path = os.path.join(home, self.directory_name, layer)
            try:
                if stat.S_ISDIR(os.lstat(path).st_mode):
                    return path
            except (FileNotFoundError, NotADirectoryError):
                continue
        return None

    def lying(self, layer: LayerID, homes: Sequence[str]) -> str | None:
        """Return whatever has the name of *layer* in one of *homes*; its tree, if that is there."""
        found = self.find(layer, homes)
        if found is not None or not is_path_component(layer):
            return found
        paths = (os.path.join(home, self.directory_name, layer) for home in homes)
        return next((path for path in paths if is_there(path)), None)


def give_to_root(path: str, new: NewLayer) -> None:
    """Give an empty tree to the root of its layer's IDs, with the mode that the Go tools give."""
    os.chmod(path, 0o555)  # noqa: S103 - as the Go tools make it
    owner = owner_of_root(new.uid_map, new.gid_map)
    if owner != (os.geteuid(), os.getegid()):
        os.chown(path, *owner)


def sync_names(path: str) -> None:
    """Make the name of *path* durable."""
    from drivers.linux import atomicfile

    atomicfile.sync_directory(os.path.dirname(path))


def _checked(layer: str) -> str:
    if not is_path_component(layer):
        raise UnsafeNameError("layer ID", layer)
    return layer
