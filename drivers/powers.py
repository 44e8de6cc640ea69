"""What some drivers can do, and others cannot: ask with ``isinstance``.

Used by: backend.api, fusefs.nodes; implemented by drivers.overlay, vfs and btrfs, which need not
import it. Knows nothing of: records, locks.
"""

from collections.abc import Mapping, Sequence
from typing import Protocol, runtime_checkable

from drivers.idmap.maps import IDMap
from drivers.ids import LayerID
from drivers.protocol import DedupMethod


@runtime_checkable
class IDShift(Protocol):
    """A driver that can show the layers below under other IDs while it mounts one."""

    def shifts(self, uid_map: tuple[IDMap, ...], gid_map: tuple[IDMap, ...]) -> bool:
        """Whether it can do so for these maps."""
        ...


@runtime_checkable
class Quotas(Protocol):
    """A driver that can limit how much a single writable layer holds."""

    def limit(self, layer: LayerID, options: Mapping[str, str]) -> None:
        """Limit it as *options* say, whatever holds for the other layers.

        Raises DriverOptionError for an unknown or bad one.
        """
        ...


@runtime_checkable
class Dedup(Protocol):
    """A driver that can let files of several layers share their blocks."""

    def dedup(self, layers: Sequence[LayerID], method: DedupMethod) -> int:
        """Share the blocks of equal files of *layers*; return how many bytes that saved.

        The kernel compares content before it shares any. No error where the file system cannot.
        """
        ...


@runtime_checkable
class ShortLinks(Protocol):
    """A driver whose layers have a second, short name on disk, which its messages quote."""

    def link_of(self, layer: LayerID) -> str | None:
        """The short name of a layer; None if the layer has no directory."""
        ...

    def layer_of_link(self, link: str) -> LayerID | None:
        """The layer that a short name leads to; None if there is no such name."""
        ...

    def links(self) -> Sequence[str]:
        """All short names."""
        ...
