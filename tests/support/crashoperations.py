"""A small store, and every operation that changes it.

Used by: tests.support.crashlives. All IDs are given, so that a whole life and one that was cut
short can be compared object by object.
"""

import hashlib
import io
import os
import stat
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

from backend import Store, StoreOptions, open_store
from backend.errors import DamagedError, NotMountedError
from backend.model.findings import Depth, Fault
from drivers.erase import erase_tree
from tests.support.layertars import BASE, TOP
from tests.support.ociimage import Entry, layer_tar, write_layout

LOW, HIGH, DOOMED, NEW = "a" * 64, "b" * 64, "c" * 64, "d" * 64
BLANK = "ab" * 32
IMAGE, DOOMED_IMAGE, DOOMED_TOP, NEW_IMAGE = "1" * 64, "2" * 64, "3" * 64, "4" * 64
BOX, DOOMED_BOX, DOOMED_ROOT, NEW_BOX, NEW_ROOT = "5" * 64, "6" * 64, "7" * 64, "8" * 64, "9" * 64
FAR_IMAGE, FAR_LAYER, LOST = "f" * 64, "e" * 64, "0" * 64
ITEMS: Final = (("manifest", b"{}", None), ("config", b"c", None))
MORE: Final = layer_tar([Entry("more"), Entry("more/file", b"more\n"), Entry("etc/motd", b"new")])

View = Mapping[str, object]


def options(base: str, driver: str) -> StoreOptions:
    """The store below *base*, which reads another one there too."""
    shared = f"{driver}.imagestore={base}/shared"
    return StoreOptions(f"{base}/graph", f"{base}/run", driver=driver, driver_options=(shared,))


def make(base: str, driver: str) -> None:
    """Make it, the other one, and an archive to import."""
    far = StoreOptions(f"{base}/shared", f"{base}/run-shared", driver=driver)
    with open_store(far) as store:
        store.layers.put(io.BytesIO(BASE), id=FAR_LAYER)
        store.images.create(id=FAR_IMAGE, names=["far"], layer=FAR_LAYER, big_data=ITEMS)
    with open_store(options(base, driver)) as store:
        store.layers.put(io.BytesIO(BASE), id=LOW, names=["low"], big_data=[("k", b"v")])
        store.layers.put(io.BytesIO(TOP), id=HIGH, parent=LOW)
        store.layers.put(io.BytesIO(TOP), id=DOOMED, parent=LOW, names=["doomed"])
        store.layers.put(io.BytesIO(TOP), id=DOOMED_TOP, parent=LOW)
        store.layers.create(id=BLANK, parent=LOW, writable=False)
        store.images.create(id=IMAGE, names=["image"], layer=HIGH, big_data=ITEMS)
        store.images.create(id=DOOMED_IMAGE, names=["old"], layer=DOOMED_TOP, big_data=ITEMS)
        for box, root in ((BOX, NEW[:63] + "0"), (DOOMED_BOX, DOOMED_ROOT)):
            store.containers.create(
                id=box, layer_id=root, image=IMAGE, names=[f"box{box[0]}"], big_data=[("d", b"1")]
            )
    write_layout(Path(base, "layout"), [[Entry("etc"), Entry("etc/a", b"a" * 9000)]])


def view(store: Store) -> View:
    """Everything that a user of the store can see, but for times."""
    seen: dict[str, object] = {}
    snapshot = store.snapshot()
    for layer in snapshot.layers:
        plain = layer._replace(created="", location="")
        items = {key: store.layers.big_data(layer.id, key) for key in layer.big_data_names}
        seen[f"layer {layer.id}"] = (
            plain._replace(flags=dict(layer.flags), extra=dict(layer.extra)),
            items,
            content(store.driver.diff_directory(layer.id)),
        )
    for image in snapshot.images:
        items = {key: store.images.big_data(image.id, key) for key in image.big_data_names}
        seen[f"image {image.id}"] = image.names, image.layer, image.metadata, image.digest, items
    for box in snapshot.containers:
        items = {key: _item(store, box.id, key) for key in box.big_data_names}
        seen[f"container {box.id}"] = box.names, box.layer, box.image, box.metadata, items
        if box.layer in snapshot.layers:
            seen[f"mount {box.layer}"] = store.mounts.count(box.id)
    return seen


def _item(store: Store, container: str, key: str) -> bytes:
    try:
        return store.containers.big_data(container, key)
    except DamagedError:  # the check tells it too
        return b"damaged"


def content(root: str) -> str:
    """A digest of a tree: names, kinds, modes, bytes."""
    known = hashlib.sha256()
    for directory, names, files in os.walk(root):
        names.sort()
        for name in sorted((*names, *files)):
            path = os.path.join(directory, name)
            status = os.lstat(path)
            known.update(
                f"{os.path.relpath(path, root)} {status.st_mode} {status.st_rdev}".encode()
            )
            if stat.S_ISREG(status.st_mode):
                known.update(Path(path).read_bytes())
            elif stat.S_ISLNK(status.st_mode):
                known.update(os.fsencode(os.readlink(path)))
    return known.hexdigest()


class Operation(NamedTuple):
    """``again`` brings what was begun to its end, whatever is there by now.

    ``prepare`` is not watched. What backend/LOCKING.md says a stop leaves may be there until then:
    the faults ``halves``, objects that begin with ``changing``. With ``unseen`` no view tells
    whether it is done.
    """

    name: str
    act: Callable[[Store], object]
    again: Callable[[Store], object] | None = None
    prepare: Callable[[Store], object] = lambda _: None
    halves: frozenset[Fault] = frozenset()
    changing: str = ""
    unseen: bool = False

    @property
    def retry(self) -> Callable[[Store], object]:
        """How a user goes on after a stop or a failure."""
        return self.again or self.act


def _new_container(store: Store) -> None:
    store.containers.create(
        id=NEW_BOX, layer_id=NEW_ROOT, image="image", names=["new"], big_data=[("d", b"1")]
    )


def _new_container_again(store: Store) -> None:
    if store.snapshot().layers.find(NEW_ROOT) is not None:
        store.layers.delete(NEW_ROOT)
    _new_container(store)


def _delete_image_again(store: Store) -> None:
    if store.snapshot().images.find(DOOMED_IMAGE) is not None:
        store.images.delete(DOOMED_IMAGE)
    if store.snapshot().layers.find(DOOMED_TOP) is not None:
        store.layers.delete(DOOMED_TOP)
    store.collect_garbage()


def _unmount_again(store: Store) -> None:
    """The next one takes over the directory that was to be the new mount point."""
    _mount(store)
    with suppress(NotMountedError):
        store.mounts.unmount(BOX)


def _mount(store: Store) -> None:
    if store.mounts.count(BOX) == 0:
        store.mounts.mount(BOX)


def _import(store: Store) -> None:
    base = os.path.dirname(store.options.graph_root)
    store.import_images(f"{base}/layout", names=["imported"])


def _garbage(store: Store) -> None:
    os.makedirs(f"{store.paths.images}/{LOST}")
    Path(f"{store.paths.images}/{LOST}/manifest").write_bytes(b"{}")
    store.layers.create_driver_layer(id=LOST)


def _damage(store: Store) -> None:
    home = Path(store.options.graph_root, store.paths.driver)
    if store.paths.driver == "overlay":
        (home / "l" / (home / LOW / "link").read_text()).unlink()
    content = store.driver.diff_directory(DOOMED_TOP)
    erase_tree(content)
    os.makedirs(content)


def _repair(store: Store) -> None:
    plan = store.plan_repair(store.check(Depth.FILES))
    for done in store.repair(plan.steps):
        if done.error:
            raise OSError(done.error)


def _repair_again(store: Store) -> None:
    _repair(store)
    _delete_image_again(store)


OPERATIONS: Final = (
    Operation("create layer", lambda s: s.layers.create(id=NEW, parent=LOW, names=["new"],
                                                        big_data=[("k", b"v")])),
    Operation("put layer", lambda s: s.layers.put(io.BytesIO(MORE), id=NEW, parent=HIGH,
                                                  names=["new"], big_data=[("k", b"v")])),
    Operation("apply diff", lambda s: s.layers.apply_diff(BLANK, io.BytesIO(MORE)),
              changing=f"layer {BLANK}"),
    Operation("delete layer", lambda s: s.layers.delete(DOOMED)),
    Operation("create image", lambda s: s.images.create(id=NEW_IMAGE, names=["new"],
                                                        layer=HIGH, big_data=ITEMS)),
    Operation("delete image", lambda s: s.images.delete(DOOMED_IMAGE), _delete_image_again,
              unseen=True),
    Operation("create container", _new_container, _new_container_again),
    Operation("delete container", lambda s: s.containers.delete(DOOMED_BOX),
              halves=frozenset((Fault.RECORD, Fault.DATA_MISSING)),
              changing=f"container {DOOMED_BOX}"),
    Operation("layer names", lambda s: s.layers.set_names(LOW, ["x", "y"])),
    Operation("layer data", lambda s: s.layers.set_big_data(LOW, "k", b"w" * 5000)),
    Operation("image names", lambda s: s.images.add_names(IMAGE, ["old"])),
    Operation("image metadata", lambda s: s.images.set_metadata(IMAGE, "m")),
    Operation("image data", lambda s: s.images.set_big_data(IMAGE, "more", b"w" * 5000)),
    Operation("container data", lambda s: s.containers.set_big_data(BOX, "d", b"w")),
    Operation("mount", lambda s: s.mounts.mount(BOX), _mount),
    Operation("unmount", lambda s: s.mounts.unmount(BOX), _unmount_again, unseen=True,
              prepare=lambda s: s.mounts.mount(BOX)),
    Operation("import", _import, changing="image 9aa86f68f503"),
    Operation("pull up", lambda s: s.images.add_names("far", ["near"])),
    Operation("collect garbage", lambda s: s.collect_garbage(), prepare=_garbage,
              halves=frozenset((Fault.LAYER_UNACCOUNTED,)), unseen=True),
    Operation("repair", _repair, _repair_again, prepare=_damage, unseen=True,
              halves=frozenset((Fault.LAYER_LINKS, Fault.LAYER_CONTENT, Fault.LAYER_DIGEST))),
    Operation("wipe", lambda s: s.wipe(), unseen=True, changing="container ",
              halves=frozenset((Fault.RECORD, Fault.DATA_MISSING))),
)  # fmt: skip
