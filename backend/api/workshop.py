"""What every verb works with: the record stores, the driver, and where things are.

Used by: backend.api, backend.store (makes it). Knows nothing of: any single verb.
"""

import errno
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO, Final, NamedTuple

from backend.errors import DamagedError, InvalidValueError
from backend.files.paths import TAR_SPLIT, StorePaths
from backend.model.options import StoreOptions
from backend.model.records import Layer
from backend.model.snapshot import ImageTable, LayerTable, Snapshot
from backend.stores.base import Writer
from backend.stores.transaction import Kind, Stores, WriteTx, writing
from backend.stores.whole import Snapshots
from drivers.errors import DriverNotSupportedError
from drivers.idmap.maps import IDMap
from drivers.ids import is_path_component
from drivers.linux import regularfile
from drivers.protocol import Driver

FULL: Final = (errno.ENOSPC, errno.EDQUOT)


class Workshop(NamedTuple):
    """``open_driver`` gives the one driver of the store, opened at its first use.

    ``sweep`` removes what a dead process left half made; it runs in every section that has the
    layers locked for writing.
    """

    options: StoreOptions
    paths: StorePaths
    stores: Stores
    snapshots: Snapshots
    open_driver: Callable[[], Driver]
    sweep: Callable[["Workshop", WriteTx], None]

    @contextmanager
    def writing(self, *kinds: Kind) -> Iterator[WriteTx]:
        """Lock *kinds* in their order; see backend.stores.transaction."""
        with writing(self.stores, *kinds) as tx:
            if Kind.LAYERS in kinds:
                self.sweep(self, tx)
            yield tx

    def fresh(self) -> Snapshot:
        """Every record as of now."""
        return self.snapshots.take()

    def all_layers(self, tx: WriteTx) -> LayerTable:
        """Layers of the store itself, then of the additional stores, as *tx* sees them."""
        if not self.stores.more_layers:
            return tx.layers.table
        more = [layer for store in self.stores.more_layers for layer in store.contents.records]
        return LayerTable([*tx.layers.table, *more])

    def all_images(self, tx: WriteTx) -> ImageTable:
        """Images of the store itself, then of the other stores, as *tx* sees them."""
        if not self.stores.more_images:
            return tx.images.table
        own = tx.images.table
        every = (image for store in self.stores.more_images for image in store.contents.records)
        return ImageTable([*own, *(image for image in every if image.id not in own)])

    def tar_split(self, layer: Layer) -> str:
        """Where the tar-split file of *layer* is, if it has one."""
        identifier = component("layer ID", layer.id)
        if not layer.read_only:
            return self.paths.tar_split(identifier)
        return f"{os.path.dirname(layer.location)}/{identifier}{TAR_SPLIT}"

    def open_tar_split(self, layer: Layer) -> BinaryIO | None:
        """The tar-split file of *layer*; None if it was not made from an archive.

        Raises DamagedError if something else has its name.
        """
        path = self.tar_split(layer)
        try:
            return os.fdopen(regularfile.open_fd(path, os.O_RDONLY | os.O_NOFOLLOW), "rb")
        except FileNotFoundError:
            return None
        except regularfile.NotRegularError:
            raise DamagedError(f"layer {layer.id[:12]}", path, "it is no regular file") from None

    @property
    def trash_root(self) -> str:
        """Where what belongs to records is renamed to before it is erased."""
        return os.path.join(self.paths.layers, "tmp")

    @property
    def image_trash_root(self) -> str:
        """The same for what belongs to records of images, which may be on another file system."""
        if not self.paths.image_store:
            return self.trash_root
        return os.path.join(self.paths.image_store, self.paths.driver, "tempdirs")

    @property
    def trash_roots(self) -> tuple[str, ...]:
        """Every place where a dead process may have left something to erase."""
        homes = [os.path.join(self.paths.graph_root, self.paths.driver)]
        if self.paths.image_store:
            homes.append(os.path.join(self.paths.image_store, self.paths.driver))
        return self.trash_root, *(os.path.join(home, "tempdirs") for home in homes)


def check_shifting(
    shop: Workshop, uid_map: tuple[IDMap, ...], gid_map: tuple[IDMap, ...], *, remedy: str
) -> None:
    """Raise DriverNotSupportedError if a layer cannot be presented under the IDs of these maps."""
    if not uid_map and not gid_map:
        return
    from drivers.powers import IDShift

    driver = shop.open_driver()
    if not isinstance(driver, IDShift) or not driver.shifts(uid_map, gid_map):
        reason = "it cannot present layers under other IDs"
        raise DriverNotSupportedError(driver.name, reason, remedy=remedy)


def component(what: str, identifier: str) -> str:
    """*identifier* as a name in a directory. Raises InvalidValueError for one that leads out."""
    if not is_path_component(identifier):
        raise InvalidValueError(what, identifier, "it cannot be the name of a directory")
    return identifier


def storable(what: str, text: str) -> str:
    """*text* if it can be written to a record file."""
    try:
        text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        raise InvalidValueError(what, ascii(text), "it holds half of a character") from None
    return text


def save_freeing(writer: Writer[Any], free: Iterable[Callable[[], None]]) -> None:
    """Save; on a full file system make room by one of *free* after the other.

    What they erase is on its way out anyway, and its loss shows: a stop in between leaves records
    that say "damaged" and can be deleted again.
    """
    remaining = iter(free)
    while True:
        try:
            writer.save()
        except OSError as exc:
            if exc.errno not in FULL:
                raise
            action = next(remaining, None)
            if action is None:
                raise
            action()
        else:
            return
