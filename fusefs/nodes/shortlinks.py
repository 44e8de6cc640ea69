"""The short links of a driver that has them: other names of layers' directories on disk.

Used by: ``layers/<id>/link`` and ``layers/by-link/``. Knows nothing of: how a driver keeps them.
"""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from drivers.errors import DriverError
from drivers.ids import LayerID
from drivers.protocol import Driver
from fusefs.nodes.context import TreeContext
from fusefs.nodes.derived import once_per


@runtime_checkable
class ShortLinks(Protocol):
    """A power of the overlay driver: each layer has a link of 26 characters."""

    def link_of(self, layer: LayerID) -> str | None:
        """The link of a layer; None if it has none."""
        ...

    def layer_of_link(self, link: str) -> LayerID | None:
        """The layer that a link leads to; None if there is no such link."""
        ...

    def links(self) -> Sequence[str]:
        """All links."""
        ...


def short_links(context: TreeContext) -> ShortLinks | None:
    """The short links of the store's driver, if it has such and works at all."""
    try:
        driver = context.store.driver
    except DriverError:
        return None
    return _of_driver(driver)


@once_per
def _of_driver(driver: Driver) -> ShortLinks | None:
    return driver if isinstance(driver, ShortLinks) else None
