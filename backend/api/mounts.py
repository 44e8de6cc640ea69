"""Mounting layers at their place in the driver's home, counted as the Go tools count.

Used by: backend.store (as Store.mounts), backend.api.{imagemounts,copying}. Knows nothing of: how a
driver mounts. The kernel's mount table decides where it and the counts disagree.
"""

import contextlib
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from backend.api import lookup
from backend.api.idmaps import Maps, maps_of
from backend.api.layers import in_use
from backend.api.workshop import Workshop, check_shifting
from backend.errors import (
    InvalidValueError,
    NotMountedError,
    ReadOnlyStoreError,
)
from backend.model.records import Container, Layer, MountPoint
from backend.model.snapshot import Snapshot
from backend.stores.mountpoints import MountPointWriter
from backend.stores.transaction import Kind, WriteTx
from drivers.errors import DriverNotSupportedError, MountFailedError
from drivers.ids import LayerID
from drivers.powers import IDShift
from drivers.protocol import MountRequest


class _Target(NamedTuple):
    """What a reference means: a layer, by itself or as a container's own."""

    layer: Layer
    container: Container | None


class Mounts:
    """Mounts of the store. References are those of containers, then of layers."""

    def __init__(self, shop: Workshop) -> None:
        self._shop = shop

    def mount(
        self,
        reference: str,
        *,
        label: str = "",
        on_count: Callable[[LayerID, int], None] | None = None,
    ) -> str:
        """Mount it, or count one more user; return the path.

        *on_count* gets the layer and the count before, under the lock and just before the new
        count is saved: whoever promises to give the count back notes it there.
        """
        with self._shop.writing(Kind.GRAPH, Kind.LAYERS) as tx:
            target = self._target(tx, reference)
            return attach(
                self._shop,
                tx,
                target.layer.id,
                lambda: self._request(target, label),
                on_count=on_count,
            )

    def unmount(self, reference: str, *, force: bool = False) -> bool:
        """Count one user less, all of them with *force*; True if it is really unmounted then.

        Raises NotMountedError if nobody has it mounted.
        """
        with self._shop.writing(Kind.GRAPH, Kind.LAYERS) as tx:
            return detach(self._shop, tx, self._target(tx, reference).layer.id, force=force)

    def open_view(self, reference: str) -> int:
        """Return a private read-only view of it (Driver.open_merged), with the owners of a mount.

        Where nobody can give it those owners, the layers below have the stored ones.
        """
        target = _resolve(self._shop.snapshots.cached(), reference)
        driver = self._shop.open_driver()
        maps = _wanted_maps(target)
        if maps != Maps() == maps_of(target.layer) and isinstance(driver, IDShift):
            # Asking first would be no use: a store that is only read tries nothing out.
            with contextlib.suppress(MountFailedError, OSError):
                return driver.open_merged(target.layer.id, *maps)
        return driver.open_merged(target.layer.id)

    def count(self, reference: str) -> int:
        """How many users it has; 0 where the kernel knows of no such mount."""
        snapshot = self._shop.fresh()
        layer = _resolve(snapshot, reference).layer
        known = snapshot.mounts.get(layer.id)
        return known.count if known and in_use(self._shop, known.id, known.path) else 0

    def repair(self, held: Mapping[LayerID, int]) -> None:
        """Give back counts that a dead process held: never below 0, unmounted at 0."""
        with self._shop.writing(Kind.GRAPH, Kind.LAYERS) as tx, tx.mounts() as mounts:
            for layer, users in held.items():
                known = mounts.get(layer)
                if known is not None and users > 0:
                    _release(self._shop, mounts, known, users)

    def _target(self, tx: WriteTx, reference: str) -> _Target:
        """Resolved again under the lock: records may have changed since the last look."""
        with self._shop.stores.containers.reading():
            pass
        target = _resolve(self._shop.snapshots.cached(), reference)
        layer = tx.layers.get(target.layer.id)
        if layer is None:
            raise ReadOnlyStoreError(f"layer {target.layer.id[:12]}")
        return _Target(layer, target.container)

    def _request(self, target: _Target, label: str) -> MountRequest:
        uid_map, gid_map = self._shift(target)
        flags = target.container.flags if target.container else {}
        options: Any = flags.get("MountOpts") or ()
        if not isinstance(options, list | tuple) or not all(isinstance(o, str) for o in options):
            raise InvalidValueError("MountOpts", str(options), "it is no list of mount options")
        return MountRequest(
            layer=target.layer.id,
            options=tuple(options),
            mount_label=label or target.layer.mount_label,
            volatile=flags.get("Volatile") is True and not self._shop.options.disable_volatile,
            uid_map=uid_map,
            gid_map=gid_map,
        )

    def _shift(self, target: _Target) -> Maps:
        """Return the maps for the driver, which must be able to shift if there are any."""
        maps = _wanted_maps(target)
        remedy = "let the tool that made the container mount it"
        if maps != Maps() and maps_of(target.layer) != Maps():
            layer = target.layer.id[:12]
            reason = f"the files of layer {layer} belong to the IDs of another container"
            raise DriverNotSupportedError(self._shop.open_driver().name, reason, remedy=remedy)
        check_shifting(self._shop, *maps, remedy=remedy)
        return maps


def attach(
    shop: Workshop,
    tx: WriteTx,
    layer: LayerID,
    request: Callable[[], MountRequest],
    *,
    on_count: Callable[[LayerID, int], None] | None = None,
) -> str:
    """Mount *layer* as *request* says, or count one more user; return the path.

    The graph and the layers are locked. *on_count* is that of :meth:`Mounts.mount`.
    """
    with tx.mounts() as mounts:
        before = _real(shop, mounts, layer)
        path = before.path if before.count else shop.open_driver().mount(request())
        try:
            if on_count is not None:
                on_count(layer, before.count)
            mounts.set(MountPoint(layer, path, before.count + 1))
            mounts.save()
        except BaseException:
            if not before.count:
                shop.open_driver().unmount(layer)
            raise
        return path


def detach(shop: Workshop, tx: WriteTx, layer: LayerID, *, force: bool) -> bool:
    """Count one user less, all of them with *force*; whether it is really unmounted then.

    The graph and the layers are locked. Raises NotMountedError.
    """
    with tx.mounts() as mounts:
        known = mounts.get(layer)
        if known is None:
            raise NotMountedError(f"layer {layer[:12]}")
        return _release(shop, mounts, known, known.count if force else 1)


def _real(shop: Workshop, mounts: MountPointWriter, layer: LayerID) -> MountPoint:
    """The recorded mount; one without users where the kernel does not know it."""
    known = mounts.get(layer)
    if known is not None and in_use(shop, layer, known.path):
        return known
    return MountPoint(layer, "", 0)


def _release(shop: Workshop, mounts: MountPointWriter, known: MountPoint, users: int) -> bool:
    left = known.count - users
    if left <= 0:
        shop.open_driver().unmount(known.id)
    mounts.set(MountPoint(known.id, known.path, left))
    mounts.save()
    return left <= 0


def _wanted_maps(target: _Target) -> Maps:
    """The maps of a container; none where the files of its layer have those owners already."""
    if target.container is None or maps_of(target.layer) == maps_of(target.container):
        return Maps()
    return maps_of(target.container)


def _resolve(snapshot: Snapshot, reference: str) -> _Target:
    container = snapshot.containers.find(reference)
    if container is None:
        return _Target(lookup.layer(snapshot.layers, reference), None)
    return _Target(lookup.layer(snapshot.layers, container.layer), container)
