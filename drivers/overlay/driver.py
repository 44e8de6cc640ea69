"""The overlay driver, as drivers.protocol asks for it.

Used by: drivers.registry. Knows nothing of: records, locks, who counts mounts.
Opening it costs nothing: what mounts, probes or compares is imported when it is first needed.
"""

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from drivers.comparing import Comparing
from drivers.errors import DriverNotSupportedError
from drivers.idmap.maps import IDMap, MapPair
from drivers.ids import LayerID
from drivers.linux.presence import nearest_directory
from drivers.overlay.layout import Layout, own_part
from drivers.overlay.options import OverlayOptions, parse_options, refuse_foreign_formats
from drivers.overlay.programnote import note, program_for
from drivers.protocol import (
    ApplyPlace,
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

if TYPE_CHECKING:
    from drivers.naive import TreeDifference
    from drivers.overlay.diffing import OwnDifference
    from drivers.overlay.probe import Probe
    from drivers.overlay.views import Views


class OverlayDriver(Comparing):
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
        if not self._program():
            self._probe().overlay()

    def status(self) -> Sequence[tuple[str, str]]:
        """Return what ``storagefs status`` says about overlay."""
        from drivers.linux import mountinfo

        fd = os.open(nearest_directory(self.home), os.O_PATH | os.O_CLOEXEC)
        try:
            number = mountinfo.mount_id(fd)
        finally:
            os.close(fd)
        fstype = next((entry.fstype for entry in mountinfo.read() if entry.id == number), "unknown")
        backing = ("Backing Filesystem", "extfs" if fstype.startswith("ext") else fstype)
        probe = self._probe()
        try:
            self.check_supported()
        except DriverNotSupportedError as refused:
            return (backing, ("Supported", str(refused)))
        native = not self._program() and probe.native_diff()
        return (
            backing,
            ("Supports d_type", "true"),
            ("Native Overlay Diff", _yes(native)),
            ("Using metacopy", _yes(self._views().assembly.uses_metacopy())),
        )

    def create(self, new: NewLayer) -> None:
        """Make the directories of a new layer."""
        from drivers.overlay.creation import create

        self._check_writing(new)
        create(self._layout, new, sync=self._where.sync)

    def _check_writing(self, new: NewLayer) -> None:
        refuse_foreign_formats(self._options)
        if new.writable and (self._options.size or self._options.inodes):
            raise DriverNotSupportedError(
                self.name, "storagefs sets no quota", remedy="remove size and inodes"
            )
        if self._program():
            note(self.home)

    def create_from_template(self, new: NewLayer, template: LayerID) -> None:
        """Make a layer with nothing of its own on top of *template*, as the Go tools do."""
        self.create(new._replace(parent=template))

    def remap(self, layer: LayerID, old: MapPair, new: MapPair) -> None:
        """Copy every file whose owner changes into the layer."""
        from drivers.overlay.remapping import remap

        view = self._views().open_writable(layer)
        remap(view, self._layout.directory(layer), old, new)

    def stage(self, new: NewLayer) -> StagedLayer:
        """Prepare the content of a layer that :meth:`create` would make empty."""
        from drivers.overlay import creation
        from drivers.staged import StagedContent

        self._check_writing(new)

        def prepare(path: str) -> ApplyPlace:
            creation.make_content(self._layout, new, path)
            return self._place(path)

        def finish(path: str) -> None:
            creation.create(self._layout, new, sync=self._where.sync, content=path)

        root = os.path.join(creation.home_of(self._layout, new), "tempdirs")
        return StagedContent(root, prepare, finish)

    def stage_into(self, layer: LayerID, parent: LayerID | None) -> StagedLayer | None:
        """Prepare the content beside the layer, if that lies on *parent*."""
        from drivers.overlay import filling
        from drivers.staged import StagedContent

        diff = self.diff_directory(layer)
        if not self._lies_on(layer, parent) or not filling.is_empty(diff):
            return None

        def prepare(path: str) -> ApplyPlace:
            filling.prepare(diff, path)
            return self._place(path)

        def finish(path: str) -> None:
            filling.fill(layer, diff, path, sync=self._where.sync)

        return StagedContent(self.new_trash_root(layer), prepare, finish)

    def _lies_on(self, layer: LayerID, parent: LayerID | None) -> bool:
        chain = self._layout.chain(layer)
        return parent == (chain[0].layer if chain else None)

    def _place(self, path: str) -> ApplyPlace:
        whiteouts, prefix = self.whiteouts, self._xattr_prefix()  # may fail: nothing is open yet
        root = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        return ApplyPlace(root, whiteouts, prefix, self._options.ignore_chown_errors)

    def open_apply(self, layer: LayerID, parent: LayerID | None) -> ApplyPlace:
        """The layer's own content; where it does not lie on *parent*, a view of both."""
        if self._lies_on(layer, parent):
            return self._place(self.diff_directory(layer))
        view = self._views().open_writable(layer)
        try:
            return self._place(f"/proc/self/fd/{view}/.")._replace(whiteouts=Whiteouts.REMOVE)
        finally:
            os.close(view)

    def remove(self, layer: LayerID, trash: Trash) -> None:
        """Unmount what is mounted of *layer* and rename its directories into *trash*."""
        from drivers.linux import mountinfo
        from drivers.overlay.creation import take_away

        directory = self._layout.lying(layer)
        if directory is None:
            return
        if mountinfo.below(directory) or not self._layout.is_own(directory):
            self._views().take_off(layer, directory)
        take_away(layer, directory, trash)

    def new_trash_root(self, layer: LayerID) -> str:
        """Return the trash directory in the home that has *layer*."""
        directory = self._layout.lying(layer)
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
        return self._views().mount(request)

    def shifts(self, uid_map: tuple[IDMap, ...], gid_map: tuple[IDMap, ...]) -> bool:
        """Whether the kernel, or the program that mounts, maps the IDs of lower directories."""
        from drivers.linux import capability
        from drivers.overlay import program

        if not self._where.shifting:
            return False
        if self._program():
            return program.shifts((uid_map, gid_map))
        if self._where.rootless or not capability.can_mount():
            return False
        return self._probe().mapped_lowers()

    def unmount(self, layer: LayerID) -> None:
        """Undo :meth:`mount`; no error if nothing is mounted."""
        self._views().unmount(layer)

    def is_mounted(self, path: str) -> bool:
        """Whether the kernel has a mount at *path*."""
        from drivers.linux import mountinfo

        return mountinfo.at(path) is not None

    def diff_directory(self, layer: LayerID) -> str:
        """Return the layer's own content."""
        return own_part(self._layout.directory(layer), layer, "diff")

    def _difference(
        self, layer: LayerID, parent: LayerID | None, maps: MapPair, parent_maps: MapPair
    ) -> "OwnDifference | TreeDifference":
        from drivers.naive import TreeDifference
        from drivers.overlay.diffing import OwnDifference
        from drivers.overlay.layout import older_contents

        directory = self._layout.directory(layer)
        chain = self._layout.chain(layer)
        full = TreeDifference(self.open_merged, layer, parent, maps, parent_maps)
        if parent != (chain[0].layer if chain else None) or older_contents(directory):
            return full
        if self._program():
            return full
        lowers = self._views().assembly.lowers(layer, directory) if chain else ()
        return OwnDifference(self.diff_directory(layer), lowers, self._xattr_prefix(), full)

    def open_merged(
        self,
        layer: LayerID,
        uid_map: tuple[IDMap, ...] = (),
        gid_map: tuple[IDMap, ...] = (),
    ) -> int:
        """Return a private read-only merged view."""
        return self._views().open(layer, (uid_map, gid_map))

    def open_content(self, layer: LayerID) -> ContentReader:
        """The layer's own files, then those of the layers below."""
        from drivers.content import ContentDirectories

        directory = self._layout.directory(layer)
        lowers = self._views().assembly.lowers(layer, directory)
        return ContentDirectories([self.diff_directory(layer), *lowers])

    def open_diff(self, layer: LayerID) -> int | None:
        """Return a private read-only view of the layer's own content."""
        from drivers.linux import mount

        return mount.read_only_copy(self.diff_directory(layer))

    def dedup(self, layers: Sequence[LayerID], method: DedupMethod) -> int:
        """Let equal files of the layers' own contents share their blocks."""
        from drivers.dedup import share_equal_files

        return share_equal_files([self.diff_directory(layer) for layer in layers], method)

    @property
    def whiteouts(self) -> Whiteouts:
        """Overlay's own form; a mount program's where one writes the layers."""
        return Whiteouts.KEEP if self._program() else Whiteouts.OVERLAY

    def inspect(self, layer: LayerID, parent: LayerID | None) -> Sequence[Damage]:
        """Compare the layer's small files and links with what the records say."""
        from drivers.overlay import inspection

        return list(inspection.inspect(self._layout.only_looking(), layer, parent))

    def mend(self, layer: LayerID, parent: LayerID | None) -> None:
        """Write the layer's small files and links again."""
        from drivers.overlay import inspection

        inspection.mend(self._layout, layer, parent)

    def cleanup(self) -> None:
        """Erase dead stagings; undo the mount of the home on itself unless someone is staging."""
        from drivers.overlay import mounting, shifting, staging

        idle = [staging.prune(home) for home in self._layout.own_homes]
        shifting.prune(self._run_home)
        if all(idle) and not self._options.skip_mount_home:
            mounting.unmount(self.home)

    def close(self) -> None:
        """Nothing is held open."""

    def _program(self) -> str:
        return program_for(self.home, self._options.mount_program)

    def _views(self) -> "Views":
        from drivers.overlay.views import Views

        return Views(
            self._layout,
            self._options,
            self._probe,
            run_home=self._run_home,
            rootless=self._where.rootless,
        )

    def _xattr_prefix(self) -> bytes:
        return b"user.overlay." if self._where.rootless else b"trusted.overlay."

    def _probe(self) -> "Probe":
        from drivers.linux import capability
        from drivers.overlay.probe import Probe

        return Probe(
            self.home,
            self._run_home,
            self._options.mount_options,
            prefix=self._xattr_prefix(),
            # Who may not mount would only find that out, and the Go tools believe the memory.
            remember_only=self._where.read_only or not capability.can_mount(),
        )


def _yes(value: bool) -> str:  # noqa: FBT001 - the text of one value
    return "true" if value else "false"
