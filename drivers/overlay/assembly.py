"""From a request to mount a layer to the one overlay that the kernel is to make.

Used by: drivers.overlay.views. Knows nothing of: mounting it, who asked.
Paths are checked here: whatever is named was found by the layout and is no link.
"""

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from drivers.errors import LayerDirectoryError, TooManyLayersError
from drivers.ids import LayerID
from drivers.linux import mount
from drivers.overlay.layout import Layout, older_contents, own_part
from drivers.overlay.mountdata import OverlayMount, split_options
from drivers.overlay.options import OverlayOptions, refuse_foreign_formats
from drivers.protocol import MountRequest

if TYPE_CHECKING:
    from drivers.overlay.probe import Probe

MOST_LAYERS: Final = 500


class Assembly:
    """Puts the mounts of one store together. *probe* is asked when a mount depends on it.

    With *userxattr* the kernel's own attributes are a user's.
    """

    def __init__(
        self,
        layout: Layout,
        options: OverlayOptions,
        probe: Callable[[], "Probe"],
        *,
        run_home: str,
        userxattr: bool,
        metacopy: bool,
    ) -> None:
        self._layout, self._options, self._probe = layout, options, probe
        self._run_home, self._userxattr, self._metacopy = run_home, userxattr, metacopy

    def overlay(self, request: MountRequest, directory: str) -> OverlayMount:
        """Return what to mount for a layer whose directory is *directory*.

        One that is not in the driver's own home is mounted read-only, as the Go tools do.
        """
        flags, rest = self._options_for(request)
        if request.read_only or not self._layout.is_own(directory):
            flags |= mount.MS_RDONLY
        if flags & mount.MS_RDONLY:
            lowers = self.lowers(request.layer, directory)
            return OverlayMount(
                lowers=_limited(request.layer, (f"{directory}/diff", *lowers)),
                flags=flags,
                options=tuple(option for option in rest if option != "volatile"),
                label=request.mount_label,
            )
        if request.volatile and "volatile" not in rest and self._probe().volatile():
            rest += ("volatile",)
        overlay = self.writable(request.layer, directory)
        return overlay._replace(flags=flags, options=rest, label=request.mount_label)

    def writable(self, layer: LayerID, directory: str) -> OverlayMount:
        """Return a mount for making a layer, in whichever home, with the configured options."""
        flags, rest = self._options_for(MountRequest(layer=layer))
        return OverlayMount(
            lowers=_limited(layer, self.lowers(layer, directory)),
            upper=f"{directory}/diff",
            work=own_part(directory, layer, "work"),
            flags=flags & ~mount.MS_RDONLY,
            options=rest,
        )

    def _options_for(self, request: MountRequest) -> tuple[int, tuple[str, ...]]:
        """Return (flags, overlay's own options): the caller's if any, else the configured ones."""
        flags, rest = split_options(request.options or self._options.mount_options)
        rest = tuple(option for option in rest if option != "metacopy=on")
        if self.uses_metacopy():
            rest += ("metacopy=on",)
        if self._userxattr:
            rest += ("userxattr",)
        return flags, rest

    def uses_metacopy(self) -> bool:
        """Whether files may be in an upper directory without their content."""
        wanted = self._metacopy and "metacopy=on" in self._options.mount_options
        return wanted and self._probe().metacopy()

    def lowers(self, layer: LayerID, directory: str) -> tuple[str, ...]:
        """Return the lower directories of a mount; a base layer has an empty one."""
        refuse_foreign_formats(self._options)
        found = self._contents(layer, f"{directory}/diff")[1:]
        for lower in self._layout.chain(layer):
            found += self._contents(lower.layer, lower.path)
        return tuple(found) or (self._empty(directory),)

    def _contents(self, layer: LayerID, diff: str) -> list[str]:
        """Return *diff* and the older contents of the same layer, uppermost first."""
        home = os.path.dirname(os.path.dirname(diff))  # it is HOME/ID/diff or HOME/l/SHORT
        own_part(os.path.join(home, layer), layer, "diff")
        foreign = f"{diff}/../composefs-data"
        if os.path.lexists(foreign):
            raise LayerDirectoryError(
                layer,
                foreign,
                "is a composefs image, which storagefs cannot mount",
                remedy="pull the image again without use_composefs",
            )
        return [diff, *older_contents(f"{diff}/..")]

    def _empty(self, directory: str) -> str:
        empty = os.path.join(directory, "empty")
        if not os.path.isdir(empty):
            empty = os.path.join(self._run_home, "empty")
            os.makedirs(empty, 0o700, exist_ok=True)
        return empty


def _limited(layer: LayerID, lowers: tuple[str, ...]) -> tuple[str, ...]:
    if len(lowers) > MOST_LAYERS:
        raise TooManyLayersError(layer, len(lowers), MOST_LAYERS)
    return lowers
