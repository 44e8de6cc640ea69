"""The short links of a driver that has them: other names of layers' directories on disk.

Used by: ``layers/<id>/link`` and ``layers/by-link/``. Knows nothing of: how a driver keeps them.
"""

from drivers.errors import DriverError
from drivers.powers import ShortLinks
from drivers.protocol import Driver
from fusefs.nodes.context import TreeContext
from fusefs.nodes.derived import once_per


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
