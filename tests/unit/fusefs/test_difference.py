"""What lies between two snapshots: what is told, and what the kernel must forget."""

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from backend import Container, Image, Layer, MountPoint, Problem, Snapshot, StoreOptions
from backend.model.records import ContainerID, ImageID
from backend.model.snapshot import ContainerTable, ImageTable, LayerTable
from drivers.ids import LayerID
from fusefs.difference import Difference, difference, since
from fusefs.nodes.base import Directory, Ino, Link, Node, node_ino
from fusefs.nodes.context import TreeContext
from fusefs.nodes.root import build_tree
from fusefs.nodes.text import Look, SyntheticDirectory


def snapshot(
    layers: list[Layer] | LayerTable = [],  # noqa: B006 - never changed
    images: list[Image] | ImageTable = [],  # noqa: B006 - never changed
    containers: list[Container] | ContainerTable = [],  # noqa: B006 - never changed
    **rest: Any,
) -> Snapshot:
    return Snapshot(
        layers if isinstance(layers, LayerTable) else LayerTable(layers),
        images if isinstance(images, ImageTable) else ImageTable(images),
        containers if isinstance(containers, ContainerTable) else ContainerTable(containers),
        rest.get("mounts", {}),
        lambda: rest.get("problems", ()),
    )


def with_(quiet: Snapshot, **rest: Any) -> Snapshot:
    return snapshot(quiet.layers, quiet.images, quiet.containers, **rest)


def layer(number: int, **values: Any) -> Layer:
    return Layer(id=LayerID(f"{number:064x}"), **values)


def image(number: int, **values: Any) -> Image:
    return Image(id=ImageID(f"{number:064x}"), **values)


def container(number: int, **values: Any) -> Container:
    values.setdefault("layer", LayerID(f"{number + 1000:064x}"))
    return Container(id=ContainerID(f"{number:064x}"), **values)


class Leaf(SyntheticDirectory):
    def names(self) -> list[bytes]:
        return []


class Shown:
    """A tree over a snapshot that the test exchanges; content is empty."""

    def __init__(self, records: Snapshot) -> None:
        self.records = records
        self.options = StoreOptions(graph_root="/nowhere", run_root="/nowhere")
        self.driver = _NoDriver()
        context = TreeContext(store=self, content=self)
        self.root = build_tree(context)

    def cached(self) -> Snapshot:
        return self.records

    def __getattr__(self, name: str) -> Any:
        return lambda identifier: Leaf(node_ino(name, identifier), Look)

    def entries(self) -> dict[tuple[Ino, bytes], tuple[Ino, bytes]]:
        """Every listed name: where it is, and which node (and link target) it leads to."""
        return dict(_walk(self.root))


class _NoDriver:
    name = "vfs"
    home = "/nowhere"

    def exists(self, layer: str) -> bool:
        return True


def _walk(directory: Directory) -> Iterator[tuple[tuple[Ino, bytes], tuple[Ino, bytes]]]:
    for name in directory.names():
        child: Node = directory.child(name)
        target = child.target() if isinstance(child, Link) else b""
        yield (directory.ino, name), (child.ino, target)
        if isinstance(child, Directory):
            yield from _walk(child)


BASE = [layer(1, names=("base",)), layer(2, parent=LayerID(f"{1:064x}"))]
TOP = BASE[1].id
STATES = {
    "nothing": snapshot(),
    "layers": snapshot(BASE),
    "layer renamed": snapshot([BASE[0]._replace(names=("other",)), BASE[1]]),
    "layer with digest": snapshot([BASE[0]._replace(diff_digest="sha256:" + "a" * 64), BASE[1]]),
    "layer with data": snapshot([BASE[0]._replace(big_data_names=("k/y",)), BASE[1]]),
    "image": snapshot(BASE, [image(5, layer=TOP, names=("docker.io/a/b:1",))]),
    "image renamed": snapshot(BASE, [image(5, layer=TOP, names=("localhost/b:1", "odd"))]),
    "image dangling": snapshot(BASE, [image(5, layer=TOP, digest="sha256:" + "c" * 64)]),
    "image elsewhere": snapshot(BASE, [image(5, layer=BASE[0].id, big_data_names=("manifest",))]),
    "name moved": snapshot(
        BASE, [image(5, layer=TOP), image(6, layer=TOP, names=("docker.io/a/b:1",))]
    ),
    "container": snapshot(
        [*BASE, layer(1007, parent=TOP)],
        [image(5, layer=TOP)],
        [container(7, image=f"{5:064x}", names=("web", "www"))],
    ),
    "container renamed": snapshot(
        [*BASE, layer(1007, parent=TOP)],
        [image(5, layer=TOP)],
        [container(7, image=f"{5:064x}", names=("www", "db"), big_data_names=("x",))],
    ),
    "container nameless": snapshot([*BASE, layer(1007, parent=TOP)], [], [container(7)]),
}


@pytest.mark.parametrize("before", STATES)
@pytest.mark.parametrize("after", STATES)
def test_the_kernel_forgets_every_name_that_leads_elsewhere(before: str, after: str) -> None:
    old, new = Shown(STATES[before]).entries(), Shown(STATES[after]).entries()
    found = difference(STATES[before], STATES[after])
    numbered = (*found.deleted, *found.placed)
    told = {*found.entries, *((parent, name) for parent, name, _ in numbered)}
    directories = {parent for parent, _ in old} & {parent for parent, _ in new}
    for entry in old:
        # What is in a directory that is gone cannot be reached: its own name was forgotten.
        if entry[0] in directories and old[entry] != new.get(entry):
            assert entry in told, entry
    if before == after:
        assert found == Difference()


def test_events_say_what_happened() -> None:
    def kinds(before: str, after: str) -> list[tuple[str, str]]:
        found = difference(STATES[before], STATES[after]).events
        return [(event.event, event.kind) for event in found]

    assert kinds("nothing", "layers") == [("created", "layer")] * 2
    assert kinds("layers", "nothing") == [("deleted", "layer")] * 2
    assert kinds("layers", "layer renamed") == [("renamed", "layer")]
    assert kinds("layers", "layer with digest") == [("changed", "layer")]
    assert kinds("container", "container renamed") == [("renamed", "container")]


def test_mounts_and_damage_are_events() -> None:
    quiet = STATES["container"]
    busy = with_(quiet, mounts={LayerID(f"{1007:064x}"): MountPoint(LayerID("x"), "/m", 1)})
    busier = with_(quiet, mounts={LayerID(f"{1007:064x}"): MountPoint(LayerID("x"), "/m", 2)})
    hurt = with_(quiet, problems=(Problem("layer", "1", "/p", "bad", "mend it"),))
    (mounted,) = difference(quiet, busy).events
    assert (mounted.event, mounted.kind, mounted.names) == ("mounted", "container", ("web", "www"))
    assert difference(busy, busier).events == ()
    assert [e.event for e in difference(busier, quiet).events] == ["unmounted"]
    (damaged,) = difference(quiet, hurt).events
    assert (damaged.event, damaged.detail["remedy"]) == ("damaged", "mend it")
    assert [e.event for e in difference(hurt, quiet).events] == ["repaired"]


def test_a_deleted_directory_is_named_with_its_number() -> None:
    found = difference(STATES["container"], STATES["nothing"])
    assert (node_ino("containers"), b"web", node_ino("container", f"{7:064x}")) in found.deleted
    assert (node_ino("layers"), os.fsencode(TOP), node_ino("layer", TOP)) in found.deleted


def test_a_new_directory_is_not_named_because_the_kernel_may_have_mounts_in_it() -> None:
    created = difference(STATES["nothing"], STATES["container"])
    renamed = difference(STATES["container"], STATES["container renamed"])
    remade = snapshot(BASE, [], [container(8, names=("web",))])
    replaced = difference(STATES["container"], remade)
    containers = node_ino("containers")
    told = {*created.entries, *renamed.entries, *replaced.entries}

    assert (containers, b"web") in renamed.entries
    assert (containers, b"web") not in {*created.entries, *replaced.entries}
    assert (containers, b"web", node_ino("container", f"{7:064x}")) in created.placed
    assert (node_ino("layers"), os.fsencode(TOP)) not in told
    assert (containers, b"web", node_ino("container", f"{8:064x}")) in replaced.placed


def test_tables_that_did_not_change_are_not_looked_at() -> None:
    class Untouchable(LayerTable):
        @property
        def by_id(self) -> Any:
            raise AssertionError("looked at")

    table = Untouchable(BASE)
    images = [image(5, names=("localhost/a:1",))]
    found = difference(snapshot(table, images), snapshot(table, []))
    assert [event.event for event in found.events] == ["deleted"]


def test_one_change_among_ten_thousand_layers_is_found_quickly() -> None:
    records = [layer(number, names=(f"n{number}",)) for number in range(10_000)]
    old = snapshot(records)
    new = snapshot([records[0]._replace(metadata="x"), *records[1:], layer(10_000)])
    start = time.process_time()
    found = difference(old, new)
    assert time.process_time() - start < 2.0
    assert [event.event for event in found.events] == ["created", "changed"]


def test_what_came_and_went_between_two_looks_is_forgotten_all_the_same() -> None:
    empty, short = snapshot(BASE), snapshot(BASE, [], [container(7, names=("web",))])
    place = (node_ino("containers"), b"web", node_ino("container", f"{7:064x}"))
    found = since([empty, short, snapshot(BASE)])
    assert place in found.corrections[-1].deleted
    assert [event.event for event in found.events] == ["created", "deleted"]

    replaced = snapshot(BASE, [], [container(8, names=("web",))])
    found = since([short, empty, replaced])
    assert not [one for step in found.corrections for one in step.deleted], "the name is in use"
    assert since([empty]).events == ()


def test_a_tree_knows_all_that_it_showed_since_it_was_last_asked() -> None:
    shown = Shown(STATES["layers"])
    context = TreeContext(store=shown, content=shown)
    first = context.records()
    assert context.shown() == (first,)
    shown.records = snapshot()
    second = context.records()
    assert context.records() is second
    assert context.shown() == (first, second)
    assert context.shown() == (second,)


def test_telling_events_sets_the_time_of_the_last_change(tmp_path: Path) -> None:
    shown = Shown(STATES["layers"])
    context = TreeContext(store=shown, content=shown)
    root = build_tree(context)
    node = root.child(b"layers").child(TOP.encode())
    before = node.attributes()
    context.tell(difference(snapshot(), STATES["layers"]).events)
    assert node.attributes().ctime_ns > before.ctime_ns
    assert context.journal.recent().count(b"\n") == 2
