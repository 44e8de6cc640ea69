"""Every operation that changes a store, to be cut short.

Used by: tests.support.crashlives. Knows nothing of: how, and what is looked at then.
"""

import io
import os
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple
from unittest import mock

from backend import Store, StoreOptions
from backend.api import userns
from backend.api.objects import Objects
from backend.errors import BigDataUnknownError, NotMountedError
from backend.model.findings import Depth, Fault
from drivers.erase import erase_tree
from drivers.idmap.subids import sub_ids
from drivers.protocol import DedupMethod
from tests.support.crashstore import (
    BLANK,
    BOX,
    BOX_ROOT,
    DOOMED,
    DOOMED_BOX,
    DOOMED_IMAGE,
    DOOMED_TOP,
    HIGH,
    IMAGE,
    ITEMS,
    LOST,
    LOW,
    MAPS,
    MORE,
    NEW,
    NEW_BOX,
    NEW_IMAGE,
    NEW_ROOT,
    STRAY,
    roles,
)

_SHARING: Final = frozenset(("overlay", "vfs"))
_ALL: Final = frozenset(("overlay", "vfs", "btrfs"))


class Operation(NamedTuple):
    """``again`` brings what was begun to its end, whatever is there by now.

    ``prepare`` is not watched. What backend/LOCKING.md says a stop leaves may be there until then:
    the faults ``halves``, objects that begin with ``changing``. With ``unseen`` no view tells
    whether it is done. ``settings`` says how the store is opened for it. The Go tools are asked
    with ``go``: unless they see another store then, or one that is damaged.
    """

    name: str
    act: Callable[[Store], object]
    again: Callable[[Store], object] | None = None
    prepare: Callable[[Store], object] = lambda _: None
    halves: frozenset[Fault] = frozenset()
    changing: str = ""
    unseen: bool = False
    settings: Callable[[StoreOptions], StoreOptions] | None = None
    go: bool = True
    drivers: frozenset[str] = _ALL

    @property
    def retry(self) -> Callable[[Store], object]:
        """How a user goes on after a stop or a failure."""
        return self.again or self.act


def _new_container(store: Store) -> None:
    store.containers.create(
        id=NEW_BOX, layer_id=NEW_ROOT, image="image", names=["new"], big_data=[("d", b"1")]
    )


def _mapped_container(store: Store) -> None:
    store.containers.create(
        id=NEW_BOX, layer_id=NEW_ROOT, image="image", names=["new"], uid_map=MAPS, gid_map=MAPS
    )


def _automatic_container(store: Store) -> None:
    """The subordinate IDs are those of the small store, not of this machine."""
    directory = os.path.dirname(store.options.graph_root)
    with mock.patch.object(userns, "sub_ids", partial(sub_ids, directory=directory)):
        store.containers.create(
            id=NEW_BOX, layer_id=NEW_ROOT, image="image", auto_userns=userns.AutoUserNs()
        )


def _without_new_root(store: Store) -> None:
    if store.snapshot().containers.find(NEW_BOX) is None:
        if store.snapshot().layers.find(NEW_ROOT) is not None:
            store.layers.delete(NEW_ROOT)
        _delete_strays(store)


def _delete_strays(store: Store) -> None:
    for layer, role in roles(store.snapshot()).items():
        if role == STRAY:
            store.layers.delete(layer)


def _new_container_again(store: Store) -> None:
    _without_new_root(store)
    _new_container(store)


def _mapped_container_again(store: Store) -> None:
    _without_new_root(store)
    _mapped_container(store)


def _automatic_container_again(store: Store) -> None:
    _without_new_root(store)
    _automatic_container(store)


def _volatile_container(store: Store) -> None:
    store.containers.create(id=NEW_BOX, layer_id=NEW_ROOT, image="image", volatile=True)


def _volatile_container_again(store: Store) -> None:
    _without_new_root(store)
    _volatile_container(store)


def _limited_container(store: Store) -> None:
    store.containers.create(
        id=NEW_BOX, layer_id=NEW_ROOT, image="image", storage_opt={"size": "50M"}
    )


def _limited_container_again(store: Store) -> None:
    _without_new_root(store)
    _limited_container(store)


def _copy_doomed_top(store: Store) -> None:
    """Let the doomed image have a copy of its top layer, for other owners."""
    store.containers.create(
        id=NEW_BOX, layer_id=NEW_ROOT, image=DOOMED_IMAGE, uid_map=MAPS, gid_map=MAPS
    )
    store.containers.delete(NEW_BOX)


def _delete_copy(store: Store) -> None:
    """Of the doomed image, or what is left of it."""
    for layer in roles(store.snapshot()):
        store.layers.delete(layer)


def _copying(place: StoreOptions) -> StoreOptions:
    """No layer is shown under other IDs: it is copied."""
    return place._replace(id_shifting=False)


def _beside(place: StoreOptions) -> StoreOptions:
    """Images have a store of their own."""
    return place._replace(image_store=f"{os.path.dirname(place.graph_root)}/images")


def _limited(place: StoreOptions) -> StoreOptions:
    return place._replace(driver_options=(*place.driver_options, "btrfs.size=50M"))


def _fill_image_store(store: Store) -> None:
    if store.snapshot().layers.find(NEW) is None:
        store.layers.put(io.BytesIO(MORE), id=NEW)
    if store.snapshot().images.find(NEW_IMAGE) is None:
        store.images.create(id=NEW_IMAGE, names=["new"], layer=NEW, big_data=ITEMS)


def _empty_image_store(store: Store) -> None:
    if store.snapshot().images.find(NEW_IMAGE) is not None:
        store.images.delete(NEW_IMAGE)
    if store.snapshot().layers.find(NEW) is not None:
        store.layers.delete(NEW)
    store.collect_garbage()


def _delete_image_again(store: Store) -> None:
    if store.snapshot().images.find(DOOMED_IMAGE) is not None:
        store.images.delete(DOOMED_IMAGE)
    if store.snapshot().layers.find(DOOMED_TOP) is not None:
        store.layers.delete(DOOMED_TOP)
    _delete_strays(store)
    store.collect_garbage()


def _unmount_again(store: Store) -> None:
    _mount(store)
    with suppress(NotMountedError):
        store.mounts.unmount(BOX)


def _mount(store: Store) -> None:
    if store.mounts.count(BOX) == 0:
        store.mounts.mount(BOX)


def _mapped_mount_again(store: Store) -> None:
    """What is left of mapped copies goes with the mount itself."""
    with suppress(NotMountedError):
        store.mounts.unmount(NEW_BOX)
    store.mounts.mount(NEW_BOX)


def _mount_image(store: Store) -> None:
    if store.mounts.count(HIGH) == 0:
        store.images.mount(IMAGE)


def _unmount_image_again(store: Store) -> None:
    _mount_image(store)
    with suppress(NotMountedError):
        store.images.unmount(IMAGE)


def _mount_twice(store: Store) -> None:
    store.mounts.mount(BOX)
    store.mounts.mount(BOX)


def _repair_count_again(store: Store) -> None:
    _mount(store)
    with suppress(NotMountedError):
        store.mounts.unmount(BOX, force=True)


def _copy(store: Store) -> None:
    base = os.path.dirname(store.options.graph_root)
    store.copy([f"{base}/layout"], f"{BOX_ROOT}:/etc")


def _copy_again(store: Store) -> None:
    _copy(store)
    with suppress(NotMountedError):
        store.mounts.unmount(BOX, force=True)


def _import(store: Store) -> None:
    base = os.path.dirname(store.options.graph_root)
    store.import_images(f"{base}/layout", names=["imported"])


def _export(store: Store) -> None:
    base = os.path.dirname(store.options.graph_root)
    store.export_images([IMAGE], f"{base}/exported")


def _export_again(store: Store) -> None:
    """What was cut off lies beside the target, where only its owner can tell what it is."""
    for left in Path(store.options.graph_root).parent.glob(".exported.*"):
        left.unlink()
    _export(store)


def _without_item(kind: Objects[Any], reference: str, key: str, store: Store) -> None:
    with suppress(BigDataUnknownError):
        kind.remove_big_data(reference, key)
    store.collect_garbage()


def _driver_layer(store: Store) -> None:
    """One that only the driver knows; it goes again, as no store can tell whose it is."""
    store.layers.create_driver_layer(id=LOST, parent=LOW)
    store.collect_garbage()


def _garbage(store: Store) -> None:
    os.makedirs(f"{store.paths.images}/{LOST}")
    Path(f"{store.paths.images}/{LOST}/manifest").write_bytes(b"{}")
    store.layers.create_driver_layer(id=LOST)


def _damage(store: Store) -> None:
    home = Path(store.options.graph_root, store.paths.driver)
    if store.paths.driver == "overlay":
        (home / "l" / (home / LOW / "link").read_text()).unlink()
    content = store.driver.diff_directory(DOOMED_TOP)
    for name in os.listdir(content):
        erase_tree(os.path.join(content, name))


def _repair(store: Store) -> None:
    """Like the command, it fails where something is left that no step mends."""
    plan = store.plan_repair(store.check(Depth.FILES))
    wrong = [done.error for done in store.repair(plan.steps) if done.error]
    wrong += [finding.reason for finding in plan.left]
    if wrong:
        raise OSError(wrong[0])


def _repair_again(store: Store) -> None:
    _repair(store)
    _delete_image_again(store)


_CONTAINER_HALVES: Final = frozenset((Fault.RECORD, Fault.DATA_MISSING))

OPERATIONS: Final = (
    Operation("create layer", lambda s: s.layers.create(id=NEW, parent=LOW, names=["new"],
                                                        big_data=[("k", b"v")])),
    Operation("limited layer", lambda s: s.layers.create(id=NEW, parent=LOW),
              settings=_limited, drivers=frozenset(("btrfs",))),
    Operation("driver layer", _driver_layer, unseen=True,
              halves=frozenset((Fault.LAYER_UNACCOUNTED,))),
    Operation("put layer", lambda s: s.layers.put(io.BytesIO(MORE), id=NEW, parent=HIGH,
                                                  names=["new"], big_data=[("k", b"v")])),
    Operation("put mapped layer", lambda s: s.layers.put(io.BytesIO(MORE), id=NEW, parent=LOW,
                                                         uid_map=MAPS, gid_map=MAPS)),
    Operation("apply diff", lambda s: s.layers.apply_diff(BLANK, io.BytesIO(MORE)),
              changing=f"layer {BLANK}"),
    Operation("delete layer", lambda s: s.layers.delete(DOOMED)),
    Operation("delete copy", _delete_copy, prepare=_copy_doomed_top, settings=_copying,
              changing="layer a copy", unseen=True),
    Operation("create image", lambda s: s.images.create(id=NEW_IMAGE, names=["new"],
                                                        layer=HIGH, big_data=ITEMS)),
    Operation("delete image", lambda s: s.images.delete(DOOMED_IMAGE), _delete_image_again,
              unseen=True),
    Operation("delete copied image", lambda s: s.images.delete(DOOMED_IMAGE), _delete_image_again,
              prepare=_copy_doomed_top, settings=_copying, unseen=True, changing="layer a copy"),
    Operation("fill image store", _fill_image_store, settings=_beside, go=False,
              drivers=_SHARING),
    Operation("empty image store", _empty_image_store, prepare=_fill_image_store, unseen=True,
              settings=_beside, go=False, drivers=_SHARING),
    Operation("create container", _new_container, _new_container_again),
    Operation("mapped container", _mapped_container, _mapped_container_again,
              changing=f"layer {STRAY}"),
    Operation("automatic container", _automatic_container, _automatic_container_again,
              changing=f"layer {STRAY}"),
    Operation("copied container", _mapped_container, _mapped_container_again,
              changing=f"layer {STRAY}", settings=_copying, drivers=frozenset(("overlay",))),
    Operation("volatile container", _volatile_container, _volatile_container_again,
              go=False),  # release 1.43 reads no volatile-layers.json
    Operation("limited container", _limited_container, _limited_container_again,
              drivers=frozenset(("btrfs",))),
    Operation("transient container", _new_container, _new_container_again,
              settings=lambda place: place._replace(transient=True), go=False),
    Operation("delete container", lambda s: s.containers.delete(DOOMED_BOX),
              halves=_CONTAINER_HALVES, changing=f"container {DOOMED_BOX}"),
    Operation("layer names", lambda s: s.layers.set_names(LOW, ["x", "y"])),
    Operation("layer flags", lambda s: s.layers.set_flags(LOW, {"mine": 1})),
    Operation("layer data", lambda s: s.layers.set_big_data(LOW, "k", b"w" * 5000)),
    Operation("new layer data", lambda s: s.layers.set_big_data(HIGH, "k", b"w" * 5000)),
    Operation("layer data away", lambda s: s.layers.remove_big_data(LOW, "k"),
              lambda s: _without_item(s.layers, LOW, "k", s), unseen=True),
    Operation("image names", lambda s: s.images.add_names(IMAGE, ["old"])),
    Operation("image metadata", lambda s: s.images.set_metadata(IMAGE, "m")),
    Operation("image data", lambda s: s.images.set_big_data(IMAGE, "more", b"w" * 5000)),
    Operation("image data away", lambda s: s.images.remove_big_data(IMAGE, "note"),
              lambda s: _without_item(s.images, IMAGE, "note", s), unseen=True),
    Operation("container data", lambda s: s.containers.set_big_data(BOX, "d", b"w")),
    Operation("container flags", lambda s: s.containers.set_flags(BOX, {"mine": 1})),
    Operation("mount", lambda s: s.mounts.mount(BOX), _mount),
    Operation("unmount", lambda s: s.mounts.unmount(BOX), _unmount_again, unseen=True,
              prepare=lambda s: s.mounts.mount(BOX)),
    Operation("mapped mount", lambda s: s.mounts.mount(NEW_BOX), _mapped_mount_again,
              prepare=_mapped_container, unseen=True),
    Operation("mount image", lambda s: s.images.mount(IMAGE), _mount_image),
    Operation("unmount image", lambda s: s.images.unmount(IMAGE), _unmount_image_again,
              unseen=True, prepare=lambda s: s.images.mount(IMAGE)),
    Operation("repair count", lambda s: s.mounts.repair({BOX_ROOT: 2}), _repair_count_again,
              unseen=True, prepare=_mount_twice),
    Operation("copy", _copy, _copy_again, unseen=True, changing=f"layer {BOX_ROOT}"),
    Operation("import", _import, changing="image 9aa86f68f503"),
    Operation("export", _export, _export_again, unseen=True),
    Operation("pull up", lambda s: s.images.add_names("far", ["near"]), drivers=_SHARING,
              go=False),
    Operation("collect garbage", lambda s: s.collect_garbage(), prepare=_garbage,
              halves=frozenset((Fault.LAYER_UNACCOUNTED,)), unseen=True),
    Operation("repair", _repair, _repair_again, prepare=_damage, unseen=True, go=False,
              halves=frozenset((Fault.LAYER_LINKS, Fault.LAYER_CONTENT, Fault.LAYER_DIGEST))),
    Operation("dedup", lambda s: s.dedup(DedupMethod.CRC), unseen=True, drivers=_SHARING),
    Operation("shutdown", lambda s: s.shutdown(force=True), unseen=True,
              prepare=lambda s: s.mounts.mount(BOX)),
    Operation("wipe", lambda s: s.wipe(), unseen=True, changing="container ",
              halves=_CONTAINER_HALVES),
)  # fmt: skip
