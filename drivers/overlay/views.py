"""Merged views of layers: at the place where the Go tools mount them, or private ones.

Used by: drivers.overlay.driver. Knows nothing of: who counts mounts, what a layer is for.
"""

import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from errno import EINVAL
from functools import cached_property
from typing import TYPE_CHECKING

from drivers.errors import LayerDirectoryError, MountFailedError
from drivers.idmap.maps import NO_MAPS, MapPair
from drivers.ids import LayerID
from drivers.linux import mountinfo
from drivers.overlay import mounting, program, programnote, shifting
from drivers.overlay.assembly import Assembly
from drivers.overlay.detached import mount_detached
from drivers.overlay.layout import Layout
from drivers.overlay.mountdata import OverlayMount
from drivers.overlay.options import OverlayOptions
from drivers.overlay.shifting import Shift
from drivers.protocol import MountRequest

if TYPE_CHECKING:
    from drivers.overlay.probe import Probe


class Views:
    """Makes and undoes the mounts of one store."""

    def __init__(
        self,
        layout: Layout,
        options: OverlayOptions,
        probe: Callable[[], "Probe"],
        *,
        run_home: str,
        rootless: bool,
    ) -> None:
        self._layout, self._options, self._run_home = layout, options, run_home
        self._probe, self._rootless = probe, rootless

    @cached_property
    def _program(self) -> str:
        return programnote.program_for(self._layout.home, self._options.mount_program)

    @cached_property
    def assembly(self) -> Assembly:
        """What puts the mounts together."""
        return Assembly(
            self._layout,
            self._options,
            self._probe,
            run_home=self._run_home,
            userxattr=self._rootless and not self._program,
            metacopy=not self._program,
        )

    def mount(self, request: MountRequest) -> str:
        """Mount at the layer's place, or find it mounted; return the path."""
        directory = self._layout.directory(request.layer)
        target = self._merged(request.layer, directory)
        if mountinfo.at(target) is not None:
            shifting.detach(_mapped(target))  # left by a crash, if it is there
            return target
        overlay = self.assembly.overlay(request, directory)
        _make_mount_point(request.layer, target)
        mounting.forget_renewal(target)
        if not self._options.skip_mount_home and self._layout.is_own(directory):
            mounting.make_home_private(self._layout.home)
        if overlay.work:
            mounting.forget_volatile(overlay.work)
        self._mount_at(target, overlay, directory, request)
        return target

    def _mount_at(
        self, target: str, overlay: OverlayMount, directory: str, request: MountRequest
    ) -> None:
        maps = request.uid_map, request.gid_map
        shift = self._shift(directory, maps)
        if self._program:
            programnote.note(self._layout.home)
            program.mount_at(self._program, self._layout.home, target, overlay, maps)
        elif shift is None:
            mounting.mount_at(target, overlay)
        else:
            place = _make_mount_point(request.layer, _mapped(target))
            with shifting.attached(overlay, shift, place) as mapped:
                mounting.mount_at(target, mapped)

    def open(self, layer: LayerID, maps: MapPair) -> int:
        """Return a private read-only view, attached nowhere."""
        directory = self._layout.directory(layer)
        options = (*self._options.mount_options, "nosuid", "nodev", "ro")
        request = MountRequest(layer=layer, read_only=True, options=options)
        overlay = self.assembly.overlay(request, directory)
        shift = self._shift(directory, maps)
        if self._program or shift is None:
            return self._detached(overlay, maps)
        return self._open_shifted(overlay, shift)

    def _detached(self, overlay: OverlayMount, maps: MapPair) -> int:
        if not self._program:
            return mount_detached(overlay, self._run_home)
        home = self._layout.home
        return program.mount_detached(self._program, home, self._run_home, overlay, maps)

    def open_writable(self, layer: LayerID) -> int:
        """Return a private view that can be written; nobody else may have the layer mounted."""
        directory = self._layout.directory(layer)
        target = self._merged(layer, directory)
        if mountinfo.at(target) is not None:
            raise LayerDirectoryError(layer, target, "is mounted", remedy="unmount it first")
        if directory != self._layout.find_writable(layer):
            raise LayerDirectoryError(
                layer, directory, "is in a store that is only read", remedy="write to a copy of it"
            )
        overlay = self.assembly.writable(layer, directory)
        mounting.forget_volatile(overlay.work)
        return self._detached(overlay, NO_MAPS)

    def _open_shifted(self, overlay: OverlayMount, shift: Shift) -> int:
        def opened(mapping: AbstractContextManager[OverlayMount]) -> int:
            with mapping as mapped:
                return mount_detached(mapped, self._run_home)

        try:
            return opened(shifting.by_descriptor(overlay, shift))
        except MountFailedError as refused:
            if refused.errno != EINVAL:
                raise
        place = shifting.private_place(self._run_home)
        return opened(shifting.attached(overlay, shift, place))

    def unmount(self, layer: LayerID) -> None:
        """Undo :meth:`mount`; no error if nothing is mounted."""
        directory = self._layout.find(layer) or os.path.join(self._layout.home, layer)
        self.take_off(layer, directory)
        if self._layout.is_own(directory):
            mounting.renew(self._merged(layer, directory))

    def take_off(self, layer: LayerID, directory: str) -> None:
        """Unmount what is mounted of a layer, whose directory is about to go."""
        target = self._merged(layer, directory)
        mounting.unmount(target)
        shifting.detach(_mapped(target))
        if target.startswith(self._run_home + "/"):
            mounting.remove_empty(target)

    def _merged(self, layer: LayerID, directory: str) -> str:
        if self._layout.is_own(directory):
            return os.path.join(directory, "merged")
        return os.path.join(self._run_home, layer, "merged")

    def _shift(self, directory: str, maps: MapPair) -> Shift | None:
        return None if maps == NO_MAPS else Shift(*maps, self._layout.homes, directory)


def _mapped(target: str) -> str:
    """Where the mapped copies for a mount at *target* are while it is made."""
    return os.path.join(os.path.dirname(target), "mapped")


def _make_mount_point(layer: LayerID, target: str) -> str:
    os.makedirs(target, 0o700, exist_ok=True)
    if os.path.islink(target):
        raise LayerDirectoryError(layer, target, "is a link", remedy="remove the link")
    return target
