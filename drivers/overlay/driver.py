"""The overlay driver, as drivers.protocol asks for it.

Used by: drivers.registry. Knows nothing of: records, locks, who counts mounts.
Opening it costs nothing: what mounts, probes or compares is imported when it is first needed.
"""

import os
from collections.abc import Sequence
from errno import EINVAL
from typing import TYPE_CHECKING

from drivers.errors import DriverNotSupportedError, LayerDirectoryError, MountFailedError
from drivers.idmap.maps import IDMap
from drivers.ids import LayerID
from drivers.overlay.layout import Layout
from drivers.overlay.options import OverlayOptions, parse_options
from drivers.protocol import Change, DriverOptions, MountRequest, NewLayer, Trash

if TYPE_CHECKING:
    from drivers.overlay.assembly import Assembly
    from drivers.overlay.mountdata import OverlayMount
    from drivers.overlay.probe import Probe
    from drivers.overlay.shifting import Shift


class OverlayDriver:
    """Layers of one graph root, as differences that the kernel merges."""

    name = "overlay"

    def __init__(self, options: DriverOptions, settings: Sequence[tuple[str, str]]) -> None:
        self._where = options
        self._options: OverlayOptions = parse_options(settings)
        self.home = os.path.join(options.graph_root, self.name)
        self._run_home = os.path.join(options.run_root, self.name)
        images = os.path.join(options.image_store, self.name) if options.image_store else ""
        others = [os.path.join(store, self.name) for store in self._options.image_stores]
        self._layout = Layout(
            self.home, images=images, others=others, repairs=not options.read_only
        )

    def check_supported(self) -> None:
        """Raise DriverNotSupportedError where overlay cannot work."""
        self._probe().overlay()

    def status(self) -> Sequence[tuple[str, str]]:
        """Return what ``storagefs status`` says about overlay."""
        from drivers.linux import mountinfo

        place = self.home if os.path.isdir(self.home) else self._where.graph_root
        fd = os.open(place, os.O_PATH | os.O_CLOEXEC)
        try:
            number = mountinfo.mount_id(fd)
        finally:
            os.close(fd)
        fstype = next((entry.fstype for entry in mountinfo.read() if entry.id == number), "unknown")
        backing = ("Backing Filesystem", "extfs" if fstype.startswith("ext") else fstype)
        probe = self._probe()
        try:
            probe.overlay()
        except DriverNotSupportedError as refused:
            return (backing, ("Supported", str(refused)))
        native = not self._options.mount_program and probe.native_diff()
        return (
            backing,
            ("Supports d_type", "true"),
            ("Native Overlay Diff", _yes(native)),
            ("Using metacopy", _yes(self._assembly().uses_metacopy())),
        )

    def create(self, new: NewLayer) -> None:
        """Make the directories of a new layer."""
        from drivers.overlay.assembly import refuse_foreign_formats
        from drivers.overlay.creation import create

        refuse_foreign_formats(self._options, self.home)
        if new.writable and (self._options.size or self._options.inodes):
            raise DriverNotSupportedError(
                self.name, "storagefs sets no quota", remedy="remove size and inodes"
            )
        create(self._layout, new, sync=self._where.sync)

    def remove(self, layer: LayerID, trash: Trash) -> None:
        """Unmount what is mounted of *layer* and rename its directories into *trash*."""
        from drivers.overlay.creation import take_away

        directory = self._layout.find_writable(layer)
        if directory is None:
            return
        self._unmount(self._merged(layer, directory))
        take_away(layer, directory, trash)

    def new_trash_root(self, layer: LayerID) -> str:
        """Return the trash directory in the home that has *layer*."""
        directory = self._layout.find_writable(layer)
        home = os.path.dirname(directory) if directory else self.home
        return os.path.join(home, "tempdirs")

    def link_of(self, layer: LayerID) -> str | None:
        """Return the short name of *layer*."""
        return self._layout.short_name(layer) if self.exists(layer) else None

    def layer_of_link(self, link: str) -> LayerID | None:
        """Return the layer that a short name leads to."""
        return self._layout.layer_named(link)

    def links(self) -> Sequence[str]:
        """Return all short names."""
        return self._layout.all_short_names()

    def exists(self, layer: LayerID) -> bool:
        """Whether any home has a directory for *layer*."""
        return self._layout.find(layer) is not None

    def list_layers(self) -> Sequence[LayerID]:
        """Return the layers of the driver's own home."""
        from drivers.overlay.layout import layers_in

        return layers_in(self.home)

    def mount(self, request: MountRequest) -> str:
        """Mount the merged view where the Go tools mount it."""
        from drivers.linux import mountinfo
        from drivers.overlay import mounting, shifting

        directory = self._layout.directory(request.layer)
        target = self._merged(request.layer, directory)
        if mountinfo.at(target) is not None:
            return target
        overlay = self._assembly().overlay(request, directory)
        _make_mount_point(request.layer, target)
        if not self._options.skip_mount_home and self._layout.is_own(directory):
            mounting.make_home_private(self.home)
        if overlay.work:
            mounting.forget_volatile(overlay.work)
        shift = self._shift(directory, request.uid_map, request.gid_map)
        if shift is None:
            mounting.mount_at(target, overlay)
        else:
            place = _make_mount_point(request.layer, self._mapped(target))
            with shifting.attached(overlay, shift, place) as mapped:
                mounting.mount_at(target, mapped)
        return target

    def shifts(self, uid_map: tuple[IDMap, ...], gid_map: tuple[IDMap, ...]) -> bool:
        """Whether the kernel maps the IDs of lower directories."""
        from drivers.linux import capability

        del uid_map, gid_map
        if self._where.rootless or not capability.can_mount():
            return False
        return self._probe().mapped_lowers()

    def _shift(
        self, directory: str, uid_map: tuple[IDMap, ...], gid_map: tuple[IDMap, ...]
    ) -> "Shift | None":
        from drivers.overlay.shifting import Shift

        if not uid_map and not gid_map:
            return None
        return Shift(uid_map, gid_map, self._layout.homes, directory)

    def _mapped(self, target: str) -> str:
        """Where the mapped copies for a mount at *target* are while it is made."""
        return os.path.join(os.path.dirname(target), "mapped")

    def _merged(self, layer: LayerID, directory: str) -> str:
        if self._layout.is_own(directory):
            return os.path.join(directory, "merged")
        return os.path.join(self._run_home, layer, "merged")

    def unmount(self, layer: LayerID) -> None:
        """Undo :meth:`mount`; no error if nothing is mounted."""
        from drivers.overlay import mounting

        directory = self._layout.find(layer) or os.path.join(self.home, layer)
        target = self._merged(layer, directory)
        self._unmount(target)
        if self._layout.is_own(directory):
            mounting.renew(target)

    def _unmount(self, target: str) -> None:
        from drivers.overlay import mounting, shifting

        mounting.unmount(target)
        shifting.detach(self._mapped(target))
        if target.startswith(self._run_home + "/"):
            mounting.remove_empty(target)

    def is_mounted(self, path: str) -> bool:
        """Whether the kernel has a mount at *path*."""
        from drivers.linux import mountinfo

        return mountinfo.at(path) is not None

    def diff_directory(self, layer: LayerID) -> str:
        """Return the layer's own content."""
        from drivers.overlay.assembly import own_part

        return own_part(self._layout.directory(layer), layer, "diff")

    def changes(self, layer: LayerID, parent: LayerID | None) -> Sequence[Change]:
        """Read the layer's own content; where that does not tell all, compare merged views."""
        from drivers.naive import compare_layers
        from drivers.overlay.diffing import FullComparisonNeededError, changes_of

        directory = self._layout.directory(layer)
        chain = self._layout.chain(layer)
        if parent == (chain[0].layer if chain else None):
            lowers = self._assembly().lowers(layer, directory) if chain else ()
            try:
                return changes_of(self.diff_directory(layer), lowers, prefix=self._xattr_prefix())
            except FullComparisonNeededError:
                pass
        return compare_layers(self.open_merged, layer, parent)

    def open_merged(
        self,
        layer: LayerID,
        uid_map: tuple[IDMap, ...] = (),
        gid_map: tuple[IDMap, ...] = (),
    ) -> int:
        """Return a private read-only merged view."""
        from drivers.overlay.mounting import mount_detached

        directory = self._layout.directory(layer)
        options = (*self._options.mount_options, "nosuid", "nodev", "ro")
        request = MountRequest(layer=layer, read_only=True, options=options)
        overlay = self._assembly().overlay(request, directory)
        shift = self._shift(directory, uid_map, gid_map)
        if shift is None:
            return mount_detached(overlay, self._run_home)
        return self._open_shifted(overlay, shift)

    def _open_shifted(self, overlay: "OverlayMount", shift: "Shift") -> int:
        from drivers.overlay import shifting
        from drivers.overlay.mounting import mount_detached

        try:
            with shifting.by_descriptor(overlay, shift) as mapped:
                return mount_detached(mapped, self._run_home)
        except MountFailedError as refused:
            if refused.errno != EINVAL:
                raise
        place = os.path.join(self._run_home, f"mapped-{os.urandom(8).hex()}")
        with shifting.attached(overlay, shift, place) as mapped:
            return mount_detached(mapped, self._run_home)

    def open_diff(self, layer: LayerID) -> int | None:
        """Return a private read-only view of the layer's own content."""
        from drivers.linux import mount

        return mount.read_only_copy(self.diff_directory(layer))

    def close(self) -> None:
        """Nothing is held open."""

    def _assembly(self) -> "Assembly":
        from drivers.overlay.assembly import Assembly, refuse_foreign_formats

        refuse_foreign_formats(self._options, self.home)
        return Assembly(
            self._layout,
            self._options,
            self._probe,
            run_home=self._run_home,
            rootless=self._where.rootless,
        )

    def _xattr_prefix(self) -> bytes:
        return b"user.overlay." if self._where.rootless else b"trusted.overlay."

    def _probe(self) -> "Probe":
        from drivers.overlay.probe import Probe

        return Probe(
            self.home,
            self._run_home,
            self._options.mount_options,
            prefix=self._xattr_prefix(),
            remember_only=self._where.read_only,
        )


def _make_mount_point(layer: LayerID, target: str) -> str:
    os.makedirs(target, 0o700, exist_ok=True)
    if os.path.islink(target):
        raise LayerDirectoryError(layer, target, "is a link", remedy="remove the link")
    return target


def _yes(value: bool) -> str:  # noqa: FBT001 - the text of one value
    return "true" if value else "false"
