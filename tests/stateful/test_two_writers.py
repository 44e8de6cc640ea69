"""Our store and the Go command on one graph root in turns: after each step both see the same."""

import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from backend import Store, open_store
from backend.model.findings import Depth
from tests.support import mounttable, process, smallstore
from tests.support.gotools import GoTools, Roots
from tests.support.hands import Hand, Ours, Theirs
from tests.support.ociimage import Entry, layer_tar

NAMES = st.lists(st.sampled_from(["a", "b", "localhost/x:1", "<&>"]), max_size=2, unique=True)
ITEMS = st.sampled_from(["manifest", "sha256:00", "k-ey"])
TEXTS = st.sampled_from(["text", '{"a": "<&>"}', "ü\n"])
FILES = st.dictionaries(st.sampled_from("abc"), st.binary(max_size=700) | st.none(), max_size=3)
ARCHIVES = FILES.map(
    lambda files: layer_tar(
        [
            Entry(f".wh.{name}", b"") if content is None else Entry(name, content)
            for name, content in files.items()
        ]
    )
)
"""Layers that add files, or remove them where the content is None."""
OURS = st.booleans()
"""Whether our library or the Go command does a step."""


@dataclass
class Known:
    """What an object should be; ``below`` is a parent, a top layer or an image, "" for none."""

    below: str
    names: set[str]
    metadata: str = ""
    items: dict[str, bytes] = field(default_factory=dict)
    archive: bytes | None = None
    layer: str = ""
    mounted: int = 0
    files: dict[str, bytes] = field(default_factory=dict)


class TwoWriters(RuleBasedStateMachine):
    """Layers, images and containers, which either of the two makes, changes and deletes."""

    def __init__(self) -> None:
        super().__init__()
        self.base = Path(tempfile.mkdtemp(prefix="storagefs-writers-"))
        self.made = 0
        self.objects: dict[str, dict[str, Known]] = {"layer": {}, "image": {}, "container": {}}

    @initialize(driver=st.sampled_from(["overlay", "vfs"]))
    def open(self, driver: str) -> None:
        self.go = GoTools(Roots(self.base / "graph", self.base / "run"), driver, timeout=30)
        self.store: Store = open_store(smallstore.options(self.go.roots, driver))
        self.hands: dict[bool, Hand] = {True: Ours(self.store), False: Theirs(self.go)}

    @property
    def layers(self) -> dict[str, Known]:
        return self.objects["layer"]

    @property
    def images(self) -> dict[str, Known]:
        return self.objects["image"]

    @property
    def containers(self) -> dict[str, Known]:
        return self.objects["container"]

    def new_id(self) -> str:
        self.made += 1
        return f"{self.made:064x}"

    def image_layers(self) -> list[str]:
        """Layers that no container owns, in the order in which they were made."""
        own = {known.layer for known in self.containers.values()}
        return [layer for layer in self.layers if layer not in own]

    def free(self, kind: str, names: Sequence[str]) -> bool:
        return not any(known.names & set(names) for known in self.objects[kind].values())

    def some(self, data: st.DataObject, *kinds: str) -> tuple[str, str]:
        """Kind and ID of an object that a user would name."""
        found = [
            (kind, identifier)
            for kind in kinds
            for identifier in (self.image_layers() if kind == "layer" else self.objects[kind])
        ]
        return data.draw(st.sampled_from(found))

    @rule(data=st.data(), ours=OURS, names=NAMES)
    def create_layer(self, data: st.DataObject, ours: bool, names: list[str]) -> None:
        parent = data.draw(st.sampled_from(["", *self.image_layers()]))
        identifier, free = self.new_id(), self.free("layer", names)
        assert self.hands[ours].create_layer(identifier, parent, names) == free
        if free:
            self.layers[identifier] = Known(parent, set(names))

    @rule(data=st.data(), ours=OURS, archive=ARCHIVES)
    def put_layer(self, data: st.DataObject, ours: bool, archive: bytes) -> None:
        parent = data.draw(st.sampled_from(["", *self.image_layers()]))
        identifier = self.new_id()
        assert self.hands[ours].put_layer(identifier, parent, archive)
        self.layers[identifier] = Known(parent, set(), archive=archive)

    def empty_layers(self) -> list[str]:
        """Image layers that nothing stands on and nothing was put in."""
        below = {known.below for known in self.layers.values()}
        return [
            name
            for name in self.image_layers()
            if self.layers[name].archive is None and name not in below
        ]

    @precondition(lambda self: self.empty_layers())
    @rule(data=st.data(), ours=OURS, archive=ARCHIVES)
    def apply(self, data: st.DataObject, ours: bool, archive: bytes) -> None:
        identifier = data.draw(st.sampled_from(self.empty_layers()))
        assert self.hands[ours].apply(identifier, archive)
        self.layers[identifier].archive = archive

    @rule(data=st.data(), ours=OURS, names=NAMES)
    def create_image(self, data: st.DataObject, ours: bool, names: list[str]) -> None:
        layer = data.draw(st.sampled_from(["", *self.image_layers()]))
        identifier, free = self.new_id(), self.free("image", names)
        assert self.hands[ours].create_image(identifier, layer, names) == free
        if free:
            self.images[identifier] = Known(layer, set(names))

    @rule(data=st.data(), ours=OURS, names=NAMES)
    def create_container(self, data: st.DataObject, ours: bool, names: list[str]) -> None:
        image = data.draw(st.sampled_from(["", *self.images]))
        identifier, free = self.new_id(), self.free("container", names)
        assert self.hands[ours].create_container(identifier, image, names) == free
        if free:
            layer = self.store.containers.find(identifier).layer
            self.layers[layer] = Known(self.images[image].below if image else "", set())
            self.containers[identifier] = Known(image, set(names), layer=layer)

    @precondition(lambda self: self.images or self.containers)
    @rule(data=st.data(), ours=OURS, names=NAMES, add=st.booleans())
    def rename(self, data: st.DataObject, ours: bool, names: list[str], add: bool) -> None:
        kind, identifier = self.some(data, "image", "container")
        verb = self.hands[ours].add_names if add else self.hands[ours].set_names
        assert verb(kind, identifier, names)
        for known in self.objects[kind].values():
            known.names -= set(names)
        known = self.objects[kind][identifier]
        known.names = known.names | set(names) if add else set(names)

    @precondition(lambda self: self.layers or self.images)
    @rule(data=st.data(), ours=OURS, text=TEXTS)
    def describe(self, data: st.DataObject, ours: bool, text: str) -> None:
        kind, identifier = self.some(data, "layer", "image", "container")
        assert self.hands[ours].set_metadata(kind, identifier, text)
        self.objects[kind][identifier].metadata = text

    @precondition(lambda self: self.images or self.containers)
    @rule(data=st.data(), ours=OURS, key=ITEMS, content=st.binary(max_size=8))
    def set_item(self, data: st.DataObject, ours: bool, key: str, content: bytes) -> None:
        kind, identifier = self.some(data, "image", "container")
        assert self.hands[ours].set_item(kind, identifier, key, content)
        self.objects[kind][identifier].items[key] = content
        assert self.hands[not ours].item(kind, identifier, key) == content

    @precondition(lambda self: self.containers)
    @rule(data=st.data(), ours=OURS, name=st.sampled_from("ab"), content=st.binary(max_size=9))
    def mount(self, data: st.DataObject, ours: bool, name: str, content: bytes) -> None:
        _, identifier = self.some(data, "container")
        known = self.containers[identifier]
        where = Path(self.hands[ours].mount(identifier))
        known.mounted += 1
        for written, expected in known.files.items():
            assert (where / written).read_bytes() == expected
        (where / name).write_bytes(content)
        known.files[name] = content

    @precondition(lambda self: any(known.mounted for known in self.containers.values()))
    @rule(data=st.data(), ours=OURS)
    def unmount(self, data: st.DataObject, ours: bool) -> None:
        mounted = [name for name, known in self.containers.items() if known.mounted]
        identifier = data.draw(st.sampled_from(mounted))
        assert self.hands[ours].unmount(identifier)
        self.containers[identifier].mounted -= 1

    @precondition(lambda self: self.image_layers())
    @rule(data=st.data(), ours=OURS)
    def delete_layer(self, data: st.DataObject, ours: bool) -> None:
        _, identifier = self.some(data, "layer")
        users = [known.below for known in (*self.layers.values(), *self.images.values())]
        assert self.hands[ours].delete("layer", identifier) == (identifier not in users)
        if identifier not in users:
            del self.layers[identifier]

    @precondition(lambda self: self.images)
    @rule(data=st.data(), ours=OURS)
    def delete_image(self, data: st.DataObject, ours: bool) -> None:
        _, identifier = self.some(data, "image")
        used = identifier in {known.below for known in self.containers.values()}
        assert self.hands[ours].delete("image", identifier) == (not used)
        if used:
            return
        top = self.images.pop(identifier).below
        users = [known.below for known in self.images.values()]
        while top and top not in [*users, *(known.below for known in self.layers.values())]:
            top = self.layers.pop(top).below

    @precondition(lambda self: any(not known.mounted for known in self.containers.values()))
    @rule(data=st.data(), ours=OURS)
    def delete_container(self, data: st.DataObject, ours: bool) -> None:
        idle = [name for name, known in self.containers.items() if not known.mounted]
        identifier = data.draw(st.sampled_from(idle))
        assert self.hands[ours].delete("container", identifier)
        del self.layers[self.containers.pop(identifier).layer]

    @precondition(lambda self: any(known.archive for known in self.layers.values()))
    @rule(data=st.data())
    def export(self, data: st.DataObject) -> None:
        put = [name for name, known in self.layers.items() if known.archive is not None]
        identifier = data.draw(st.sampled_from(put))
        for hand in self.hands.values():
            assert hand.archive(identifier) == self.layers[identifier].archive

    @invariant()
    def both_see_what_was_done(self) -> None:
        if not hasattr(self, "store"):
            return
        snapshot = self.store.snapshot()
        assert snapshot.problems == ()
        ours = {
            "layer": snapshot.layers,
            "image": snapshot.images,
            "container": snapshot.containers,
        }
        for kind, table in ours.items():
            theirs = {one["id"]: one for one in self.go.storage_json(f"{kind}s", "--json")}
            assert set(theirs) == set(table.by_id) == set(self.objects[kind])
            for identifier, record in table.by_id.items():
                assert facts(record._asdict()) == facts(
                    {name.replace("-", "_"): value for name, value in theirs[identifier].items()}
                )
                self.check_known(kind, identifier, record)

    def check_known(self, kind: str, identifier: str, record: Any) -> None:
        known = self.objects[kind][identifier]
        assert set(record.names) == known.names
        assert record.metadata == known.metadata
        if kind != "layer":
            assert {key: len(value) for key, value in known.items.items()} == record.big_data_sizes
        if kind == "container":
            assert self.store.mounts.count(identifier) == known.mounted

    def teardown(self) -> None:
        if hasattr(self, "store"):
            for identifier, known in self.containers.items():
                for _ in range(known.mounted):
                    assert self.hands[True].unmount(identifier)
            report = self.store.check(Depth.FILES)
            assert [finding for finding in report.findings if not finding.is_note] == []
            self.store.close()
        mounttable.unmount_below(self.base)
        process.run(["rm", "-rf", "--one-file-system", os.fspath(self.base)])


def facts(record: dict[str, Any]) -> dict[str, Any]:
    """A record's fields of one spelling, without those that are empty."""
    kept = (
        *("id", "parent", "names", "metadata", "created", "diff_digest", "diff_size"),
        *("compressed_diff_digest", "image", "layer", "big_data_names", "big_data_sizes"),
        *("big_data_digests", "digest"),
    )
    plain = {name: record.get(name) for name in kept}
    return {
        name: sorted(value) if isinstance(value, tuple | list) else value
        for name, value in plain.items()
        if value and value != -1
    }


TestTwoWriters = TwoWriters.TestCase
TestTwoWriters.settings = settings(
    max_examples=8,
    stateful_step_count=20,
    deadline=None,
    phases=(Phase.generate,),
    suppress_health_check=[HealthCheck.too_slow],
)
TestTwoWriters.pytestmark = [pytest.mark.root, pytest.mark.overlay, pytest.mark.gotools]
