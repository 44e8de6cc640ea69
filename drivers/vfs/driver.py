"""The vfs driver, as drivers.protocol asks for it: HOME/dir/ID is the layer's whole tree.

Used by: drivers.registry. Knows nothing of: records, locks.
"""

import os
from collections.abc import Sequence
from typing import Final

from drivers.errors import DriverOptionError
from drivers.ids import LayerID
from drivers.protocol import DedupMethod, DriverOptions, NewLayer, Trash
from drivers.settings import boolean
from drivers.wholetrees import WholeTrees, give_to_root, sync_names

_IGNORE: Final = "ignore_chown_errors"
_STORES: Final = ("imagestore", "additionalimagestore")


class VfsDriver(WholeTrees):
    """Layers of one graph root, each a full copy of its parent. Nothing is ever mounted."""

    name = "vfs"
    directory_name = "dir"

    def __init__(self, options: DriverOptions, settings: Sequence[tuple[str, str]]) -> None:
        self.home = os.path.join(options.graph_root, self.name)
        images = options.image_store or options.graph_root
        self._images = os.path.join(images, self.name)
        self._sync, self._rootless = options.sync, options.rootless
        ignore = dict(settings).get(_IGNORE, "false")
        self.ignore_chown_errors = boolean(f"vfs.{_IGNORE}", ignore)
        others = [os.path.join(store, self.name) for store in _image_stores(settings)]
        self.homes = tuple(dict.fromkeys((self.home, self._images, *others)))

    def check_supported(self) -> None:
        """Any file system will do."""

    def status(self) -> Sequence[tuple[str, str]]:
        """There is nothing to say about vfs."""
        return ()

    def make_tree(self, path: str, source: LayerID | None, new: NewLayer) -> None:
        """Copy file by file."""
        from drivers.vfs.copying import copy_tree

        os.mkdir(path, 0o700)
        if source is None:
            give_to_root(path, new)
        else:
            copy_tree(self.directory(source), path, devices=not self._rootless)

    def finish_tree(self, path: str, new: NewLayer) -> None:
        """Make its name durable."""
        del new
        if self._sync:
            sync_names(path)

    def home_for(self, new: NewLayer) -> str:
        """Return the home that a new layer belongs in."""
        return self.home if new.writable else self._images

    def remove(self, layer: LayerID, trash: Trash) -> None:
        """Rename the layer's directory, or what has its place, into *trash*."""
        path = self.lying(layer, (self.home, self._images))
        if path is not None:
            trash.take(path)

    def new_trash_root(self, layer: LayerID) -> str:
        """Return the trash directory in the home that has *layer*."""
        path = self.lying(layer, (self.home, self._images))
        home = os.path.dirname(os.path.dirname(path)) if path else self.home
        return os.path.join(home, "tempdirs")

    def dedup(self, layers: Sequence[LayerID], method: DedupMethod) -> int:
        """Let equal files of the layers share their blocks."""
        from drivers.dedup import share_equal_files

        return share_equal_files([self.directory(layer) for layer in layers], method)

    def cleanup(self) -> None:
        """Erase what dead processes staged."""
        from drivers.trash import recover_stale

        for home in dict.fromkeys((self.home, self._images)):
            recover_stale(os.path.join(home, "tempdirs"))


def _image_stores(settings: Sequence[tuple[str, str]]) -> list[str]:
    stores: list[str] = []
    for key, value in settings:
        if key in _STORES:
            stores += [store.strip() for store in value.split(",") if store.strip()]
        elif key != _IGNORE:
            remedy = f"known are {', '.join((*_STORES, _IGNORE))}"
            raise DriverOptionError(f"vfs.{key}", "is unknown", remedy=remedy)
    return stores
