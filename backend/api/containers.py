"""Verbs on containers.

Used by: backend.store (as Store.containers).
Durable steps and what a crash between them leaves: backend/LOCKING.md.
"""

import os
from collections.abc import Iterable, Mapping
from typing import Any

from backend.api import lookup
from backend.api.items import with_item, without_item
from backend.api.layers import check_unmounted
from backend.api.making import make_layer
from backend.api.objects import Objects, checked_names
from backend.api.removal import remove_layer
from backend.api.workshop import check_shifting, component, save_freeing, storable
from backend.codec import gotime
from backend.errors import (
    ContainerUnknownError,
    DuplicateIDError,
    InvalidValueError,
    ReadOnlyStoreError,
)
from backend.files import bigdata
from backend.model.records import EMPTY, Container, ContainerID, Image, Layer
from backend.model.snapshot import ContainerTable, ImageTable, Snapshot
from backend.stores.containers import ContainerWriter
from backend.stores.transaction import Kind, WriteTx
from drivers.erase import erase_tree
from drivers.idmap.maps import IDMap
from drivers.ids import LayerID, generate_id
from drivers.trash import TrashDirectory

_USER_DATA = "userdata"


class Containers(Objects[Container]):
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
        flags: Mapping[str, Any] = EMPTY,
        mount_options: Iterable[str] = (),
        volatile: bool = False,
        process_label: str = "",
        mount_label: str = "",
        big_data: Iterable[tuple[str, bytes]] = (),
    ) -> Container:
        """Make a container with a writable layer on top of *image*, or on nothing.

        ID maps need a driver that can present layers under other IDs. A volatile container does
        not survive a crash of the machine (it always does in a transient store).
        """
        if bool(process_label) != bool(mount_label):
            raise InvalidValueError("label", process_label or mount_label, "give both or neither")
        items = tuple(big_data)
        for key, _ in items:
            self._check_key(key)
        check_shifting(self._shop, uid_map, gid_map, remedy="create it without ID maps")
        volatile = volatile or self._shop.options.transient
        labels = {"MountLabel": mount_label, "ProcessLabel": process_label}
        with self._shop.writing(Kind.LAYERS, Kind.IMAGES, Kind.CONTAINERS) as tx:
            source = lookup.image(self._images(tx), image) if image else None
            wanted = Container(
                id=ContainerID(component("container ID", id if id is not None else generate_id())),
                names=tx.containers.claim_names(checked_names(names)),
                image=source.id if source else "",
                layer=LayerID(layer_id if layer_id is not None else generate_id()),
                metadata=storable("metadata", metadata),
                created=gotime.now(),
                uid_map=uid_map,
                gid_map=gid_map,
                flags={**flags, **labels, **_mounting(tuple(mount_options), volatile=volatile)},
                location=self._shop.stores.containers.files[volatile].path,
            )
            if tx.containers.get(wanted.id) is not None:
                raise DuplicateIDError("container", wanted.id)
            return self._make(tx, wanted, source, items)

    def delete(self, reference: str, *, force: bool = False) -> None:
        """Delete a container with its layer and user data; with *force* also a mounted one.

        The layer goes first and the record last, so that what fails can be tried again.
        """
        with self._shop.writing(Kind.LAYERS, Kind.CONTAINERS) as tx:
            container = self._editable(tx.containers, reference)
            layer = tx.layers.get(container.layer)
            if layer is not None:
                if not force:
                    check_unmounted(self._shop, tx, layer)
                remove_layer(self._shop, tx, layer)
            self._erase_directories(tx, container)
            tx.containers.drop(container.id)
            save_freeing(tx.containers, list(tx.afterwards))

    def set_flags(self, reference: str, flags: Mapping[str, Any]) -> Container:
        """Replace the flags as a whole."""
        new = dict(flags)
        return self._change(reference, lambda container: container._replace(flags=new))

    def directory(self, reference: str) -> str:
        """Where its maker may keep files; made on demand."""
        return self._user_data(self._shop.paths.containers, reference)

    def run_directory(self, reference: str) -> str:
        """The same for files that need not survive a reboot."""
        return self._user_data(self._shop.paths.run_containers, reference)

    def _make(
        self,
        tx: WriteTx,
        wanted: Container,
        image: Image | None,
        items: Iterable[tuple[str, bytes]],
    ) -> Container:
        below = self._top_layer(tx, image)
        layer = make_layer(
            self._shop,
            tx,
            Layer(
                id=wanted.layer,
                parent=below.id if below else None,
                mount_label=str(wanted.flags["MountLabel"]),
                uid_map=below.uid_map if below else (),
                gid_map=below.gid_map if below else (),
            ),
            writable=True,
            volatile=wanted.flags.get("Volatile") is True,
        )
        container = wanted._replace(
            uid_map=wanted.uid_map or layer.uid_map,
            gid_map=wanted.gid_map or layer.gid_map,
        )
        directory = self._items_directory(container)
        try:
            for key, data in items:
                bigdata.write(directory, key, data)
                container = with_item(container, key, data)
            tx.containers.put(container)
            tx.containers.save()
        except BaseException:
            erase_tree(directory)
            remove_layer(self._shop, tx, layer)
            raise
        return container

    def _top_layer(self, tx: WriteTx, image: Image | None) -> Layer | None:
        if image is None or image.layer is None:
            return None
        return lookup.layer(self._shop.all_layers(tx), image.layer)

    def _images(self, tx: WriteTx) -> ImageTable:
        more = [
            image for store in self._shop.stores.more_images for image in store.contents.records
        ]
        return ImageTable([*tx.images.table, *more]) if more else tx.images.table

    def _erase_directories(self, tx: WriteTx, container: Container) -> None:
        trash = TrashDirectory(self._shop.trash_root)
        tx.afterwards.append(trash.erase)
        trash.take(self._items_directory(container))
        erase_tree(os.path.join(self._shop.paths.run_containers, container.id))

    def _user_data(self, base: str, reference: str) -> str:
        container = self.find(reference)
        path = os.path.join(base, component("container ID", container.id), _USER_DATA)
        if not os.path.isdir(path):
            if self._shop.options.read_only:
                raise ReadOnlyStoreError(f"container {container.id[:12]}")
            os.makedirs(path, 0o700, exist_ok=True)
        return path

    def _check_key(self, key: str) -> None:
        super()._check_key(key)
        if key == _USER_DATA:
            raise InvalidValueError("big data key", key, "the container's user data is there")

    def _table(self, snapshot: Snapshot) -> ContainerTable:
        return snapshot.containers

    def _writer(self, tx: WriteTx) -> ContainerWriter:
        return tx.containers

    def _directory(self) -> str:
        return self._shop.paths.containers

    def _with_item(self, record: Container, key: str, data: bytes, digest: str | None) -> Container:
        return with_item(record, key, data, digest or "")

    def _without_item(self, record: Container, key: str) -> Container:
        return without_item(record, key)


def _mounting(options: tuple[str, ...], *, volatile: bool) -> Mapping[str, Any]:
    """Flags that say how to mount the container; absent where there is nothing to say."""
    flags: dict[str, Any] = {"MountOpts": list(options)} if options else {}
    return {**flags, "Volatile": True} if volatile else flags
