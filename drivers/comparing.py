"""The three verbs of a driver that compare two layers, over one comparison of its own.

Used by: drivers.overlay.driver, drivers.wholetrees. Knows nothing of: how layers are compared.
"""

from abc import ABC, abstractmethod
from collections.abc import Generator, Sequence
from typing import Protocol

from drivers.idmap.maps import NO_MAPS, MapPair
from drivers.ids import LayerID
from drivers.protocol import Change


class Difference(Protocol):
    """What one layer does to another. Nothing is opened before something is asked of it."""

    def changes(self) -> Sequence[Change]:
        """Each path, sorted."""
        ...

    def archive(self) -> Generator[bytes, None, None]:
        """An uncompressed tar archive, in pieces."""
        ...

    def size(self) -> int:
        """Bytes of the files that are added, each inode once."""
        ...


class Comparing(ABC):
    """A driver as far as it compares; see drivers.protocol.Driver."""

    def changes(
        self,
        layer: LayerID,
        parent: LayerID | None,
        *,
        maps: MapPair = NO_MAPS,
        parent_maps: MapPair = NO_MAPS,
    ) -> Sequence[Change]:
        """What *layer* does to *parent*, path by path."""
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

    @abstractmethod
    def _difference(
        self, layer: LayerID, parent: LayerID | None, maps: MapPair, parent_maps: MapPair
    ) -> Difference:
        """The comparison that the verbs need."""
