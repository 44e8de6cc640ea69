"""Lock order as code, guards as proof (see backend/LOCKING.md).

Used by: backend.api, backend.store. Knows nothing of: verbs, drivers.

Callers say what they need, never in which order. The order is that of the Go tools: graph, user
namespaces, layers, additional layers, images, additional images, containers; mount points
innermost.
"""

import enum
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any, NamedTuple, NoReturn, TypeVar

from backend.errors import ReadOnlyStoreError
from backend.files.lockfile import locked
from backend.files.unsettled import Unsettled
from backend.stores.base import RecordStore
from backend.stores.containers import ContainerStore, ContainerWriter
from backend.stores.images import ImageStore, ImageWriter
from backend.stores.layers import LayerStore, LayerWriter
from backend.stores.mountpoints import MountPointStore, MountPointWriter

W = TypeVar("W")


class Kind(enum.IntEnum):
    """What can be locked for writing. The value is the place in the order."""

    GRAPH = 0
    USERNS = 1
    LAYERS = 2
    IMAGES = 3
    CONTAINERS = 4


class Stores(NamedTuple):
    """Every record store of a graph root. The additional ones are never written.

    Where images have a store of their own, ``graph_images`` are those that the graph root has all
    the same: the first of ``more_images``, and the only ones there that can be deleted.
    """

    graph_lock: str
    userns_lock: str
    layers: LayerStore
    more_layers: tuple[LayerStore, ...]
    images: ImageStore
    more_images: tuple[ImageStore, ...]
    containers: ContainerStore
    mounts: MountPointStore
    unsettled: Unsettled
    lock_seconds: float
    graph_images: ImageStore | None = None


class WriteTx:
    """What is locked for writing. Asking for anything else is a mistake in the program."""

    def __init__(self, stores: Stores) -> None:
        self._stores = stores
        self._layers: LayerWriter | None = None
        self._images: ImageWriter | None = None
        self._graph_images: ImageWriter | None = None
        self._containers: ContainerWriter | None = None
        # Called in turn once every lock is given back: erasing what was renamed away.
        self.afterwards: list[Callable[[], None]] = []

    @property
    def layers(self) -> LayerWriter:
        """Layers of the store itself."""
        return _held(self._layers, Kind.LAYERS)

    @property
    def images(self) -> ImageWriter:
        """Images of the store itself."""
        return _held(self._images, Kind.IMAGES)

    @property
    def image_writers(self) -> tuple[ImageWriter, ...]:
        """Images of the store itself, then those in the graph root beside a separate store."""
        more = () if self._graph_images is None else (self._graph_images,)
        return (self.images, *more)

    @property
    def containers(self) -> ContainerWriter:
        """Containers."""
        return _held(self._containers, Kind.CONTAINERS)

    @contextmanager
    def mounts(self) -> Iterator[MountPointWriter]:
        """Lock the mount points; only while the layers are locked, and briefly."""
        _held(self._layers, Kind.LAYERS)
        with self._stores.mounts.writing() as writer:
            assert isinstance(writer, MountPointWriter)
            yield writer

    def enter(self, held: ExitStack, kind: Kind) -> None:
        """Lock one kind; :func:`writing` calls this in order."""
        stores = self._stores
        match kind:
            case Kind.GRAPH:
                held.enter_context(
                    locked(stores.graph_lock, exclusive=True, seconds=stores.lock_seconds)
                )
            case Kind.USERNS:
                held.enter_context(
                    locked(stores.userns_lock, exclusive=True, seconds=stores.lock_seconds)
                )
            case Kind.LAYERS:
                layers = held.enter_context(stores.layers.writing())
                assert isinstance(layers, LayerWriter)
                self._layers = layers
            case Kind.IMAGES:
                self._images = _writer_of(held, stores.images)
                if stores.graph_images is not None:
                    self._graph_images = _writer_of(held, stores.graph_images)
            case Kind.CONTAINERS:
                containers = held.enter_context(stores.containers.writing())
                assert isinstance(containers, ContainerWriter)
                self._containers = containers

    def __bool__(self) -> NoReturn:
        raise TypeError("a transaction is not a condition; leave its with-block instead")


@contextmanager
def writing(stores: Stores, *kinds: Kind) -> Iterator[WriteTx]:
    """Lock *kinds* for writing, the additional stores of each for reading, in the one order."""
    if not stores.layers.writable:
        raise ReadOnlyStoreError(
            f"the store of {stores.layers.lock_path}", remedy="open it without read-only"
        )
    tx = WriteTx(stores)
    try:
        with ExitStack() as held:
            for kind in sorted(set(kinds)):
                tx.enter(held, kind)
                for more in _additional(stores, kind):
                    held.enter_context(more.reading())
            yield tx
    finally:
        for erase in tx.afterwards:
            # The records are as they should be; what cannot be erased now is found in the trash
            # by the next writer.
            with suppress(OSError):
                erase()


@contextmanager
def reading(stores: Stores) -> Iterator[None]:
    """Lock everything for reading at once, so that what is read belongs together."""
    with ExitStack() as held:
        held.enter_context(stores.layers.reading())
        with stores.mounts.reading():
            pass  # loaded; nobody has to wait for the rest
        others: tuple[RecordStore[Any], ...] = (
            *stores.more_layers,
            stores.images,
            *stores.more_images,
            stores.containers,
        )
        for store in others:
            held.enter_context(store.reading())
        yield


def _additional(stores: Stores, kind: Kind) -> tuple[RecordStore[Any], ...]:
    match kind:
        case Kind.LAYERS:
            return stores.more_layers
        case Kind.IMAGES:
            return tuple(more for more in stores.more_images if more is not stores.graph_images)
        case _:
            return ()


def _writer_of(held: ExitStack, store: ImageStore) -> ImageWriter:
    images = held.enter_context(store.writing())
    assert isinstance(images, ImageWriter)
    return images


def _held(writer: W | None, kind: Kind) -> W:
    if writer is None:
        raise AssertionError(f"{kind.name.lower()} are not locked here")
    return writer
