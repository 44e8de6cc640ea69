"""The btrfs driver, as drivers.protocol asks for it: HOME/subvolumes/ID is a snapshot.

Used by: drivers.registry. Knows nothing of: records, locks.

HOME/quotas/ID has the limit of a layer, in bytes. Quotas are switched on when a size is asked
for, and never touched otherwise: whose file system it is may have switched them off since. The
Go tools mount HOME on itself; nothing here needs that.
"""

import errno
import os
from collections.abc import Mapping, Sequence
from typing import Final

from drivers.btrfs.options import parse_options, size_of_container
from drivers.errors import DriverNotSupportedError, LayerDirectoryError
from drivers.ids import LayerID, is_path_component
from drivers.linux.presence import nearest_directory
from drivers.protocol import Damage, DriverOptions, NewLayer, Trash
from drivers.wholetrees import WholeTrees, give_to_root, sync_names

_DIRECTORY: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_AGAIN: Final = "delete the layer and what stands on it, then pull its image again"


class BtrfsDriver(WholeTrees):
    """Layers of one graph root on btrfs. Nothing is ever mounted."""

    name = "btrfs"
    directory_name = "subvolumes"

    def __init__(self, options: DriverOptions, settings: Sequence[tuple[str, str]]) -> None:
        self.home = os.path.join(options.graph_root, self.name)
        self.homes = (self.home,)
        self._sync = options.sync
        self._options = parse_options(settings)
        self._is_supported = False

    def check_supported(self) -> None:
        """Raise DriverNotSupportedError where the home is not on btrfs."""
        from drivers.linux import subvolume

        if self._is_supported:
            return
        place = nearest_directory(self.home)
        fd = os.open(place, _DIRECTORY)
        try:
            if not subvolume.is_btrfs(fd):
                reason = f"{place} is not on a btrfs file system"
                remedy = "use overlay, or a graph root on btrfs"
                raise DriverNotSupportedError(self.name, reason, remedy=remedy)
        finally:
            os.close(fd)
        self._is_supported = True

    def status(self) -> Sequence[tuple[str, str]]:
        """Nothing: the Go tools tell the version of a library that is not used here."""
        return ()

    def home_for(self, new: NewLayer) -> str:
        """Return the home, where subvolumes can be made."""
        del new
        self.check_supported()
        return self.home

    def make_tree(self, path: str, source: LayerID | None, new: NewLayer) -> None:
        """Make a subvolume at *path*, limited where it is to be."""
        from drivers.linux import subvolume

        directory, name = os.path.split(os.fsencode(path))
        parent = os.open(directory, _DIRECTORY)
        try:
            if source is None:
                subvolume.create(parent, name)
                give_to_root(path, new)
            else:
                self._snapshot(source, parent, name)
        finally:
            os.close(parent)
        if self._is_limited(new):
            self._limit(path, self._options.size)

    def _snapshot(self, source: LayerID, parent: int, name: bytes) -> None:
        from drivers.linux import subvolume

        below = self.directory(source)
        fd = os.open(below, _DIRECTORY)
        try:
            if not subvolume.may_be_one(os.fstat(fd)):
                raise LayerDirectoryError(source, below, "is no subvolume", remedy=_AGAIN)
            subvolume.snapshot(fd, parent, name)
        finally:
            os.close(fd)

    def finish_tree(self, path: str, new: NewLayer) -> None:
        """Make its name durable, and note its limit."""
        if self._is_limited(new):
            self._write_note(new.id, self._options.size)
        if self._sync:
            sync_names(path)

    def _is_limited(self, new: NewLayer) -> bool:
        return new.writable and self._options.size > 0

    def limit(self, layer: LayerID, options: Mapping[str, str]) -> None:
        """Let the layer hold as much as ``size`` says."""
        size = size_of_container(self._options, options)
        if size:
            self._limit(self.directory(layer), size)
            self._write_note(layer, size)

    def _limit(self, path: str, size: int) -> None:
        from drivers.linux import subvolume

        fd = os.open(path, _DIRECTORY)
        try:
            subvolume.limit(fd, size)
        except OSError as refused:
            if refused.errno != errno.EPERM:
                raise
            raise DriverNotSupportedError(
                self.name, "only root may limit the size of layers", remedy="ask for no size"
            ) from refused
        finally:
            os.close(fd)

    def _write_note(self, layer: LayerID, size: int) -> None:
        from drivers.linux import atomicfile

        note = self._note(layer)
        os.makedirs(os.path.dirname(note), 0o700, exist_ok=True)
        atomicfile.replace(note, str(size).encode(), mode=0o644, sync=self._sync, locked=True)

    def _note(self, layer: LayerID) -> str:
        return os.path.join(self.home, "quotas", layer)

    def remove(self, layer: LayerID, trash: Trash) -> None:
        """Rename the layer's subvolume, with all that is nested in it, into *trash*."""
        from drivers.linux import atomicfile

        if not is_path_component(layer):
            return
        path, note = self.lying(layer, self.homes), self._note(layer)
        if path is not None:
            number = _identity(path) if os.path.lexists(note) else None
            _take(path, trash)
            if number is not None:
                _forget_limit(os.path.dirname(path), number)
        trash.take(note)
        trash.take(atomicfile.usual_temporary(note))

    def new_trash_root(self, layer: LayerID) -> str:
        """Return the trash directory."""
        del layer
        return os.path.join(self.home, "tempdirs")

    def inspect(self, layer: LayerID, parent: LayerID | None) -> Sequence[Damage]:
        """A layer is one subvolume: a copy made by other means cannot be built upon."""
        from drivers.linux import subvolume

        path = self.find(layer, self.homes)
        if path is None or subvolume.may_be_one(os.lstat(path)):
            return super().inspect(layer, parent)
        return (Damage(path, "is no subvolume", _AGAIN, mendable=False),)

    def cleanup(self) -> None:
        """Erase what dead processes staged; undo the mount of the home that the Go tools made."""
        from drivers.linux import mount, mountinfo
        from drivers.trash import recover_stale

        recover_stale(os.path.join(self.home, "tempdirs"))
        if mountinfo.at(self.home) is not None:
            mount.umount(self.home, mount.MNT_DETACH | mount.UMOUNT_NOFOLLOW)


def _identity(path: str) -> int | None:
    """The number of the subvolume *path*; None for what is none."""
    from drivers.linux import subvolume

    if os.path.islink(path) or not os.path.isdir(path):
        return None
    fd = os.open(path, _DIRECTORY)
    try:
        return subvolume.identity(fd) if subvolume.may_be_one(os.fstat(fd)) else None
    finally:
        os.close(fd)


def _take(path: str, trash: Trash) -> None:
    from drivers.linux import subvolume

    try:
        trash.take(path)
    except OSError as refused:
        if refused.errno != errno.EROFS:
            raise
        directory, name = os.path.split(os.fsencode(path))
        parent = os.open(directory, _DIRECTORY)
        try:
            subvolume.make_free(parent, name)
        finally:
            os.close(parent)
        trash.take(path)


def _forget_limit(directory: str, number: int) -> None:
    from drivers.linux import subvolume

    fd = os.open(directory, _DIRECTORY)
    try:
        subvolume.forget_limit(fd, number)
    finally:
        os.close(fd)
