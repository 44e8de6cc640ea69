"""The overlay driver, as drivers.protocol asks for it.

Used by: drivers.registry. Knows nothing of: records, locks, who counts mounts.
Opening it costs nothing: what mounts, probes or compares is imported when it is first needed.
"""

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from drivers.errors import (
    DriverNotSupportedError,
    LayerDirectoryError,
    TooManyLayersError,
)
from drivers.ids import LayerID
from drivers.overlay.layout import Layout
from drivers.overlay.options import OverlayOptions, parse_options
from drivers.protocol import Change, DriverOptions, MountRequest, NewLayer, Trash

if TYPE_CHECKING:
    from drivers.overlay.mountdata import OverlayMount
    from drivers.overlay.probe import Probe

MOST_LAYERS: Final = 500


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
            ("Using metacopy", _yes(self._uses_metacopy())),
        )

    def create(self, new: NewLayer) -> None:
        """Make the directories of a new layer."""
        from drivers.overlay.creation import create

        self._refuse_foreign_formats()
        if new.writable and (self._options.size or self._options.inodes):
            raise DriverNotSupportedError(
                self.name, "storagefs sets no quota", remedy="remove size and inodes"
            )
        create(self._layout, new, sync=self._where.sync)

    def _refuse_foreign_formats(self) -> None:
        """Do not write into, or merge, what needs a program or format that we do not speak."""
        for option, wanted in (
            ("mount_program", self._options.mount_program or self._was_written_by_a_program()),
            ("use_composefs", self._options.use_composefs),
            ("force_mask", self._options.force_mask is not None),
        ):
            if wanted:
                raise DriverNotSupportedError(
                    self.name,
                    f"storagefs does not know the format of layers written with {option}",
                    remedy=f"remove {option} from storage.conf, or use the Go tools",
                )

    def _was_written_by_a_program(self) -> bool:
        """Whether the Go tools noted that a mount program, with its own whiteouts, was at work."""
        try:
            with open(os.path.join(self.home, ".has-mount-program"), "rb") as note:
                return note.read(8) == b"true"
        except FileNotFoundError:
            return False

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
        from drivers.overlay import mounting

        directory = self._layout.directory(request.layer)
        target = self._merged(request.layer, directory)
        if mountinfo.at(target) is not None:
            return target
        overlay = self._request(request, directory)
        _make_mount_point(request.layer, target)
        if not self._options.skip_mount_home and self._layout.is_own(directory):
            mounting.make_home_private(self.home)
        if overlay.work:
            mounting.forget_volatile(overlay.work)
        mounting.mount_at(target, overlay)
        return target

    def _merged(self, layer: LayerID, directory: str) -> str:
        if self._layout.is_own(directory):
            return os.path.join(directory, "merged")
        return os.path.join(self._run_home, layer, "merged")

    def _options_for(self, request: MountRequest) -> tuple[int, tuple[str, ...]]:
        """Return (flags, overlay's own options): the caller's if any, else the configured ones."""
        from drivers.overlay.mountdata import split_options

        flags, rest = split_options(request.options or self._options.mount_options)
        rest = tuple(option for option in rest if option != "metacopy=on")
        if self._uses_metacopy():
            rest += ("metacopy=on",)
        if self._where.rootless:
            rest += ("userxattr",)
        return flags, rest

    def _request(self, request: MountRequest, directory: str) -> "OverlayMount":
        from drivers.linux import mount
        from drivers.overlay.mountdata import OverlayMount

        flags, rest = self._options_for(request)
        if request.read_only or not self._layout.is_own(directory):
            flags |= mount.MS_RDONLY
        lowers = self._lowers(request.layer, directory)
        if flags & mount.MS_RDONLY:
            rest = tuple(option for option in rest if option != "volatile")
            overlay = OverlayMount(
                lowers=(f"{directory}/diff", *lowers),
                flags=flags,
                options=rest,
                label=request.mount_label,
            )
        else:
            if request.volatile and "volatile" not in rest and self._probe().volatile():
                rest += ("volatile",)
            overlay = OverlayMount(
                lowers=lowers,
                upper=f"{directory}/diff",
                work=self._own(directory, request.layer, "work"),
                flags=flags,
                options=rest,
                label=request.mount_label,
            )
        if len(overlay.lowers) > MOST_LAYERS:
            raise TooManyLayersError(request.layer, len(lowers), MOST_LAYERS)
        return overlay

    def _lowers(self, layer: LayerID, directory: str) -> tuple[str, ...]:
        """Return the lower directories of a mount; a base layer has an empty one."""
        self._refuse_foreign_formats()
        found = self._contents(layer, f"{directory}/diff")[1:]
        for lower in self._layout.chain(layer):
            found += self._contents(lower.layer, lower.path)
        return tuple(found) or (self._empty(directory),)

    def _contents(self, layer: LayerID, diff: str) -> list[str]:
        """Return *diff* and the older contents of the same layer, uppermost first."""
        from drivers.overlay.layout import older_contents

        home = os.path.dirname(os.path.dirname(diff))  # it is HOME/ID/diff or HOME/l/SHORT
        self._own(os.path.join(home, layer), layer, "diff")
        foreign = f"{diff}/../composefs-data"
        if os.path.lexists(foreign):
            raise LayerDirectoryError(
                layer,
                foreign,
                "is a composefs image, which storagefs cannot mount",
                remedy="pull the image again without use_composefs",
            )
        return [diff, *older_contents(f"{diff}/..")]

    def _own(self, directory: str, layer: LayerID, name: str) -> str:
        """Return a part of a layer; one that is a link could lead anywhere."""
        path = os.path.join(directory, name)
        if os.path.islink(path):
            remedy = "put the directory itself in the place of the link"
            raise LayerDirectoryError(layer, path, "is a link", remedy=remedy)
        return path

    def _empty(self, directory: str) -> str:
        empty = os.path.join(directory, "empty")
        if not os.path.isdir(empty):
            empty = os.path.join(self._run_home, "empty")
            os.makedirs(empty, 0o700, exist_ok=True)
        return empty

    def unmount(self, layer: LayerID) -> None:
        """Undo :meth:`mount`; no error if nothing is mounted."""
        from drivers.overlay import mounting

        directory = self._layout.find(layer) or os.path.join(self.home, layer)
        target = self._merged(layer, directory)
        self._unmount(target)
        if self._layout.is_own(directory):
            mounting.renew(target)

    def _unmount(self, target: str) -> None:
        from drivers.overlay import mounting

        mounting.unmount(target)
        if target.startswith(self._run_home + "/"):
            mounting.remove_empty(target)

    def is_mounted(self, path: str) -> bool:
        """Whether the kernel has a mount at *path*."""
        from drivers.linux import mountinfo

        return mountinfo.at(path) is not None

    def diff_directory(self, layer: LayerID) -> str:
        """Return the layer's own content."""
        return self._own(self._layout.directory(layer), layer, "diff")

    def changes(self, layer: LayerID, parent: LayerID | None) -> Sequence[Change]:
        """Read the layer's own content; where that does not tell all, compare merged views."""
        from drivers.naive import compare_layers
        from drivers.overlay.diffing import FullComparisonNeededError, changes_of

        directory = self._layout.directory(layer)
        chain = self._layout.chain(layer)
        if parent == (chain[0].layer if chain else None):
            lowers = self._lowers(layer, directory) if chain else ()
            try:
                return changes_of(self.diff_directory(layer), lowers, prefix=self._xattr_prefix())
            except FullComparisonNeededError:
                pass
        return compare_layers(self.open_merged, layer, parent)

    def open_merged(self, layer: LayerID) -> int:
        """Return a private read-only merged view."""
        from drivers.overlay.mounting import mount_detached

        directory = self._layout.directory(layer)
        options = (*self._options.mount_options, "nosuid", "nodev", "ro")
        request = MountRequest(layer=layer, read_only=True, options=options)
        return mount_detached(self._request(request, directory), self._run_home)

    def open_diff(self, layer: LayerID) -> int | None:
        """Return a private read-only view of the layer's own content."""
        from drivers.linux import mount

        return mount.read_only_copy(self.diff_directory(layer))

    def close(self) -> None:
        """Nothing is held open."""

    def _uses_metacopy(self) -> bool:
        return "metacopy=on" in self._options.mount_options and self._probe().metacopy()

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


def _make_mount_point(layer: LayerID, target: str) -> None:
    os.makedirs(target, 0o700, exist_ok=True)
    if os.path.islink(target):
        raise LayerDirectoryError(layer, target, "is a link", remedy="remove the link")


def _yes(value: bool) -> str:  # noqa: FBT001 - the text of one value
    return "true" if value else "false"
