"""Any history of verbs leaves the store as a dictionary that did the same, here and for a peer."""

import gzip
import io
import shutil
import tempfile
from dataclasses import dataclass, field

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from backend import InUseError, Store, StoreOptions, open_store
from drivers.archive.compression import Compression
from tests.support.ociimage import Entry, layer_tar

NAMES = st.sampled_from(["a", "b", "c", "localhost/x:1", "<&>"])
FILES = st.dictionaries(st.sampled_from("abc"), st.binary(max_size=2000), max_size=3)
KEYS = st.sampled_from(["manifest", "sha256:00", "k-", "k-ey"])


@dataclass
class Known:
    """What an object should be."""

    names: set[str]
    below: str | None = None
    metadata: str = ""
    items: dict[str, bytes] = field(default_factory=dict)
    archive: bytes | None = None


class StoreMachine(RuleBasedStateMachine):
    """Layers, images and containers of a vfs store, with a second opening that only looks on."""

    def __init__(self) -> None:
        super().__init__()
        self.base = tempfile.mkdtemp(prefix="storagefs-machine-")
        options = StoreOptions(
            graph_root=f"{self.base}/graph", run_root=f"{self.base}/run", driver="vfs", sync="none"
        )
        self.store: Store = open_store(options)
        self.peer: Store = open_store(options)
        self.layers: dict[str, Known] = {}
        self.images: dict[str, Known] = {}
        self.containers: dict[str, Known] = {}
        self.own: dict[str, str] = {}
        self.made = 0

    def new_id(self) -> str:
        """The same in each run of a history, so that it can be repeated."""
        self.made += 1
        return f"{self.made:064x}"

    @staticmethod
    def pick(data: st.DataObject, objects: dict[str, Known]) -> str:
        return data.draw(st.sampled_from(sorted(objects)))

    @staticmethod
    def free(objects: dict[str, Known], names: list[str]) -> list[str]:
        taken = {name for known in objects.values() for name in known.names}
        return [name for name in names if name not in taken]

    def image_layers(self) -> list[str]:
        return sorted(set(self.layers) - set(self.own.values()))

    @rule(data=st.data(), names=st.lists(NAMES, max_size=2))
    def create_layer(self, data: st.DataObject, names: list[str]) -> None:
        parents = [None, *self.image_layers()]
        parent = data.draw(st.sampled_from(parents))
        free = self.free(self.layers, names)
        layer = self.store.layers.create(
            id=self.new_id(), parent=parent, names=free, writable=False
        )
        self.layers[layer.id] = Known(set(free), parent)

    @rule(data=st.data(), files=FILES)
    def put_layer(self, data: st.DataObject, files: dict[str, bytes]) -> None:
        parent = data.draw(st.sampled_from([None, *self.image_layers()]))
        archive = layer_tar([Entry(name, content) for name, content in files.items()])
        layer = self.store.layers.put(io.BytesIO(archive), id=self.new_id(), parent=parent)
        self.layers[layer.id] = Known(set(), parent, archive=archive)

    @precondition(lambda self: self.layers)
    @rule(data=st.data(), files=FILES)
    def apply_diff(self, data: st.DataObject, files: dict[str, bytes]) -> None:
        layer = self.pick(data, self.layers)
        archive = layer_tar([Entry(name, content) for name, content in files.items()])
        self.store.layers.apply_diff(layer, io.BytesIO(gzip.compress(archive)))
        self.layers[layer].archive = archive

    @precondition(lambda self: self.layers)
    @rule(data=st.data(), names=st.lists(NAMES, max_size=2))
    def create_image(self, data: st.DataObject, names: list[str]) -> None:
        layer = data.draw(st.sampled_from([None, *self.image_layers()]))
        free = self.free(self.images, names)
        image = self.store.images.create(id=self.new_id(), layer=layer, names=free)
        self.images[image.id] = Known(set(free), layer)

    @precondition(lambda self: self.images)
    @rule(data=st.data(), names=st.lists(NAMES, max_size=2))
    def create_container(self, data: st.DataObject, names: list[str]) -> None:
        image = self.pick(data, self.images)
        free = self.free(self.containers, names)
        container = self.store.containers.create(
            id=self.new_id(), layer_id=self.new_id(), image=image, names=free
        )
        self.containers[container.id] = Known(set(free), image)
        self.own[container.id] = container.layer
        self.layers[container.layer] = Known(set(), self.images[image].below)

    @precondition(lambda self: self.layers)
    @rule(data=st.data())
    def delete_layer(self, data: st.DataObject) -> None:
        layer = self.pick(data, self.layers)
        needed = {known.below for known in (*self.layers.values(), *self.images.values())}
        if layer in needed or layer in self.own.values():
            try:
                self.store.layers.delete(layer)
            except InUseError:
                return
            raise AssertionError("a layer in use was deleted")
        self.store.layers.delete(layer)
        del self.layers[layer]

    @precondition(lambda self: self.images)
    @rule(data=st.data())
    def delete_image(self, data: st.DataObject) -> None:
        image = self.pick(data, self.images)
        if image in {known.below for known in self.containers.values()}:
            try:
                self.store.images.delete(image)
            except InUseError:
                return
            raise AssertionError("an image in use was deleted")
        top = self.images.pop(image).below
        expected = []
        while top is not None:
            users = [known.below for known in (*self.images.values(), *self.layers.values())]
            if top in users:
                break
            expected.append(top)
            top = self.layers.pop(top).below
        assert self.store.images.delete(image) == expected

    @precondition(lambda self: self.containers)
    @rule(data=st.data())
    def delete_container(self, data: st.DataObject) -> None:
        container = self.pick(data, self.containers)
        self.store.containers.delete(container)
        del self.containers[container], self.layers[self.own.pop(container)]

    @precondition(lambda self: self.images)
    @rule(data=st.data(), names=st.lists(NAMES, max_size=3))
    def rename_image(self, data: st.DataObject, names: list[str]) -> None:
        image = self.pick(data, self.images)
        self.store.images.set_names(image, names)
        for known in self.images.values():
            known.names -= set(names)
        self.images[image].names = set(names)

    @precondition(lambda self: self.containers)
    @rule(data=st.data(), names=st.lists(NAMES, max_size=2), text=st.text(max_size=5))
    def change_container(self, data: st.DataObject, names: list[str], text: str) -> None:
        container = self.pick(data, self.containers)
        self.store.containers.add_names(container, names)
        self.store.containers.set_metadata(container, text)
        for known in self.containers.values():
            known.names -= set(names)
        self.containers[container].names |= set(names)
        self.containers[container].metadata = text

    @precondition(lambda self: self.images)
    @rule(data=st.data(), key=KEYS, content=st.binary(max_size=8) | st.none())
    def change_item(self, data: st.DataObject, key: str, content: bytes | None) -> None:
        image = self.pick(data, self.images)
        items = self.images[image].items
        if content is not None:
            self.store.images.set_big_data(image, key, content)
            items[key] = content
        elif key in items:
            self.store.images.remove_big_data(image, key)
            del items[key]

    @invariant()
    def both_openings_agree_with_the_model(self) -> None:
        for snapshot in (self.store.cached(), self.peer.snapshot()):
            assert {r.id: r.parent for r in snapshot.layers} == {
                identifier: known.below for identifier, known in self.layers.items()
            }
            assert {r.id: set(r.names) for r in snapshot.images} == {
                identifier: known.names for identifier, known in self.images.items()
            }
            assert {r.id: (set(r.names), r.metadata) for r in snapshot.containers} == {
                identifier: (known.names, known.metadata)
                for identifier, known in self.containers.items()
            }
            assert snapshot.problems == ()

    @invariant()
    def archives_come_back(self) -> None:
        for identifier, known in self.layers.items():
            if known.archive is not None:
                with self.peer.layers.diff(identifier, compression=Compression.NONE) as stream:
                    assert b"".join(stream) == known.archive

    @invariant()
    def items_are_what_was_written(self) -> None:
        for identifier, known in self.images.items():
            record = self.peer.cached().images.by_id[identifier]
            assert set(record.big_data_names) == set(known.items)
            assert {key: len(value) for key, value in known.items.items()} == record.big_data_sizes
            for key, value in known.items.items():
                assert self.peer.images.big_data(identifier, key) == value

    def teardown(self) -> None:
        self.store.close()
        self.peer.close()
        shutil.rmtree(self.base)  # noqa: TID251 - a store of the test's own


TestStore = StoreMachine.TestCase
TestStore.settings = settings(
    max_examples=8,
    stateful_step_count=20,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
