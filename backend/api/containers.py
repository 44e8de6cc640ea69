"""Verbs on containers.

Used by: backend.store (as Store.containers). Knows nothing of: how a container is made.
What only some verbs need is imported by them, as in backend.api.layers.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from backend.api import lookup
from backend.api.attached import Attached
from backend.api.objects import checked_names
from backend.api.workshop import component, storable
from backend.codec import gotime
from backend.errors import ContainerUnknownError, InvalidValueError
from backend.model.records import EMPTY, Container, ContainerID
from backend.model.snapshot import ContainerTable, Snapshot
from backend.stores.containers import ContainerWriter
from backend.stores.transaction import Kind, WriteTx
from drivers.errors import DriverNotSupportedError
from drivers.idmap.maps import IDMap
from drivers.ids import LayerID, generate_id

if TYPE_CHECKING:
    from backend.api.owners import Owners
    from backend.api.userns import AutoUserNs


class Containers(Attached[Container]):
    """Containers of the store."""

    kind = Kind.CONTAINERS
    word = "container"
    unknown = ContainerUnknownError

    def create(
        self,
        *,
        id: str | None = None,  # noqa: A002 - the field's own name
        names: Iterable[str] = (),
        image: str | None = None,
        layer_id: str | None = None,
        metadata: str = "",
        uid_map: tuple[IDMap, ...] = (),
        gid_map: tuple[IDMap, ...] = (),
        host_uid_mapping: bool = False,
        host_gid_mapping: bool = False,
        auto_userns: AutoUserNs | None = None,
        flags: Mapping[str, Any] = EMPTY,
        mount_options: Iterable[str] = (),
        volatile: bool = False,
        process_label: str = "",
        mount_label: str = "",
        label_options: Iterable[str] = (),
        storage_opt: Mapping[str, str] = EMPTY,
        big_data: Iterable[tuple[str, bytes]] = (),
    ) -> Container:
        """Make a container with a writable layer on top of *image*, or on nothing.

        Its user namespace has the maps, or those that *auto_userns* leads to; without any its IDs
        are the host's or, with a mapped image in an additional store, those of that. A map of
        the host wins over one that is given. A volatile container does not survive a crash of
        the machine (it always does without in a transient store). *storage_opt* has the ``size``
        of its layer, for drivers with quotas; *label_options* see backend.api.labelling.
        """
        from backend.api.containermaking import Extras, make_container
        from backend.api.mapped import WantedOwners

        volatile = volatile or self._shop.options.transient
        wanted = Container(
            id=ContainerID(component("container ID", id if id is not None else generate_id())),
            names=checked_names(names),
            layer=LayerID(layer_id if layer_id is not None else generate_id()),
            metadata=storable("metadata", metadata),
            created=gotime.now(),
            flags=_flags(flags, (process_label, mount_label), mount_options, volatile=volatile),
            location=self._shop.stores.containers.files[volatile].path,
        )
        asked = WantedOwners.of(
            uid_map, gid_map, host_uids=host_uid_mapping, host_gids=host_gid_mapping
        )
        limit, labels = self._limiter(storage_opt), tuple(label_options)
        items = self._items_directory(wanted), self._checked_items(big_data)
        extras = Extras(*items, auto_userns, labels, limit)
        return make_container(self._shop, wanted, image, asked, extras)

    def delete(self, reference: str, *, force: bool = False) -> None:
        """Delete a container with its layer and user data; with *force* also a mounted one.

        Its layer goes first and its record last, so that what fails can be tried again.
        """
        from backend.api.containerremoval import remove_container
        from backend.api.layers import check_unmounted

        with self._shop.writing(Kind.LAYERS, Kind.CONTAINERS) as tx:
            container = self._editable(tx.containers, reference)
            layer = tx.layers.get(container.layer)
            if layer is not None and not force:
                check_unmounted(self._shop, tx, layer)
            remove_container(self._shop, tx, container)

    def set_flags(self, reference: str, flags: Mapping[str, Any]) -> Container:
        """Replace the flags as a whole."""
        new = dict(flags)
        return self._change(reference, lambda container: container._replace(flags=new))

    def size(self, reference: str) -> int:
        """Bytes that its layer adds to the image, of its data items and of its directories."""
        from backend.api import usage

        snapshot = self._shop.fresh()
        container = lookup.container(snapshot.containers, reference)
        layer = lookup.layer(snapshot.layers, container.layer)
        items = sum(self.big_data_size(container.id, key) for key in container.big_data_names)
        bases = (self._user_base(), self._run_base())
        directories = [os.path.join(base, container.id, "userdata") for base in bases]
        on_disk = usage.layer_on_disk(self._shop, snapshot.layers, layer)
        return on_disk + items + usage.directories(directories)

    def parent_owners(self, reference: str) -> Owners:
        """Host IDs that own directories above its mount and are none of its own.

        Raises NotMountedError; a container whose files have the host's owners has none.
        """
        from backend.api import owners

        snapshot = self._shop.fresh()
        container = lookup.container(snapshot.containers, reference)
        return owners.of_layer(self._shop, lookup.layer(snapshot.layers, container.layer))

    def _checked_items(self, items: Iterable[tuple[str, bytes]]) -> tuple[tuple[str, bytes], ...]:
        found = tuple(items)
        for key, _ in found:
            self._check_key(key)
        return found

    def _limiter(self, options: Mapping[str, str]) -> Callable[[LayerID], None] | None:
        """What limits the layer of a container as *options* say; None if they say nothing."""
        from drivers.powers import Quotas

        if not options:
            return None
        driver = self._shop.open_driver()
        if not isinstance(driver, Quotas):
            raise DriverNotSupportedError(
                driver.name,
                f"no quota is set for a container ({', '.join(options)})",
                remedy="make it without storage options, or in a store of the btrfs driver",
            )
        return partial(driver.limit, options=options)

    def _table(self, snapshot: Snapshot) -> ContainerTable:
        return snapshot.containers

    def _writer(self, tx: WriteTx) -> ContainerWriter:
        return tx.containers

    def _directory(self) -> str:
        return self._shop.paths.containers

    def _user_base(self) -> str:
        return self._shop.paths.containers

    def _run_base(self) -> str:
        return self._shop.paths.run_containers


def _flags(
    given: Mapping[str, Any], labels: Sequence[str], options: Iterable[str], *, volatile: bool
) -> Mapping[str, Any]:
    """All flags of a container: the labels always, how to mount it only where there is a word."""
    from backend.api.labelling import LABELS

    flags = dict(given)
    for flag, label in zip(LABELS, labels, strict=True):
        flags[flag] = label or flags.get(flag) or ""
    process, mount = (flags[flag] for flag in LABELS)
    if bool(process) != bool(mount):
        raise InvalidValueError("label", process or mount, "give both or neither")
    if mounting := list(options):
        flags["MountOpts"] = mounting
    if volatile:
        flags["Volatile"] = True
    return flags
