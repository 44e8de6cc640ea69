"""A store whose records were damaged or lost: what is said of it, and that no repair empties it."""

import json
import os
from pathlib import Path

import pytest

from backend import DamagedError, RecordFileError, Store, open_store
from backend.model.findings import Action, Depth, Fault
from tests.support import smallstore
from tests.support.commandline import Storagefs
from tests.support.gotools import Roots
from tests.support.smallstore import BASE, TOP

pytestmark = [pytest.mark.root, pytest.mark.overlay]

BROKEN = {
    "cut off": b'[{"id":"0123',
    "no array": b"{}",
    "zeros": bytes(64),
    "empty": b"",
}
EMPTIED = {"null": b"null", "no record": b"[]"}


@pytest.fixture(autouse=True)
def _small(roots: Roots) -> None:
    """One image of two layers, and a container."""
    smallstore.make(roots)


@pytest.fixture
def storagefs(roots: Roots) -> Storagefs:
    """The command on that store."""
    return Storagefs(roots, "overlay")


def spoil(roots: Roots, kind: str, data: bytes) -> Path:
    """Write *data* into a record file of the store."""
    path = roots.graph / f"overlay-{kind}" / f"{kind}.json"
    path.write_bytes(data)
    return path


def spoil_record(roots: Roots) -> str:
    """Make one member of the first layer's record into what no tool can read; its ID."""
    path = roots.graph / "overlay-layers/layers.json"
    data = path.read_bytes()
    path.write_bytes(data.replace(b'"created":"', b'"created":"x', 1))
    return str(json.loads(data)[0]["id"])


def everything(roots: Roots) -> set[str]:
    return {
        os.path.join(where, name)
        for where, directories, files in os.walk(roots.graph / "overlay")
        for name in (*directories, *files)
    }


def plan_of(store: Store) -> set[Action]:
    return {step.action for step in store.plan_repair(store.check(Depth.FILES)).steps}


@pytest.mark.parametrize("data", BROKEN.values(), ids=BROKEN)
def test_no_directory_is_garbage_while_records_cannot_be_read(roots: Roots, data: bytes) -> None:
    before = everything(roots)
    path = spoil(roots, "layers", data)
    with open_store(smallstore.options(roots)) as store:
        report = store.check(Depth.FILES)
        assert plan_of(store) == set()
        assert {(f.kind, f.fault, f.path) for f in report.findings} == {
            ("store", Fault.RECORD, str(path))
        }, "and nobody is told to delete images for it"
        with pytest.raises(RecordFileError):
            store.collect_garbage()
    assert everything(roots) == before


@pytest.mark.parametrize("data", BROKEN.values(), ids=BROKEN)
@pytest.mark.parametrize("kind", ["images", "containers"])
def test_no_layer_is_without_users_while_those_cannot_be_read(
    roots: Roots, kind: str, data: bytes
) -> None:
    spoil(roots, kind, data)
    with open_store(smallstore.options(roots)) as store:
        report = store.check(Depth.FILES, unreferenced_age=0)
        assert {f.kind for f in report.findings} == {"store"}
        assert store.plan_repair(report).steps == ()


def test_a_store_whose_empty_record_file_is_written_again_goes_on(
    roots: Roots, storagefs: Storagefs
) -> None:
    spoil(roots, "layers", b"")
    assert storagefs("create-layer", "--id", "new").code == 0, "as with the Go tools"
    assert storagefs("layers", "--quiet").out == b"new\n"
    assert storagefs("gc").code == 1


def test_a_layer_whose_record_cannot_be_read_is_no_garbage(roots: Roots) -> None:
    layer = spoil_record(roots)
    with open_store(smallstore.options(roots)) as store:
        report = store.check(Depth.FILES)
        assert {(f.fault, f.id) for f in report.findings} == {(Fault.RECORD, layer)}
        assert plan_of(store) == set()


@pytest.mark.parametrize("data", EMPTIED.values(), ids=EMPTIED)
def test_layers_that_images_name_are_kept_though_their_records_are_lost(
    roots: Roots, data: bytes
) -> None:
    before = everything(roots)
    path = spoil(roots, "layers", data)
    with open_store(smallstore.options(roots)) as store:
        report = store.check(Depth.FILES)
        layers = {f.id for f in report.findings if f.kind == "layer"}
        assert layers == set(store.driver.list_layers())
        assert {f.fault for f in report.findings} == {Fault.RECORD}
        assert {f.path for f in report.findings if f.kind == "layer"} == {str(path)}
        assert plan_of(store) == set()
        with pytest.raises(DamagedError, match=r"layers\.json"):
            store.collect_garbage()
    assert everything(roots) == before


def test_a_layer_below_one_whose_record_is_lost_has_users(roots: Roots) -> None:
    path = roots.graph / "overlay-layers/layers.json"
    lowest, *_ = records = json.loads(path.read_bytes())
    kept = path.read_bytes()[: path.read_bytes().index(b',{"id"')] + b"]"
    path.write_bytes(kept)
    with open_store(smallstore.options(roots)) as store:
        report = store.check(Depth.FILES, unreferenced_age=0)
        assert lowest["id"] not in {f.id for f in report.findings}
        assert len({f.id for f in report.findings if f.kind == "layer"}) == len(records) - 1
        assert store.plan_repair(report).steps == ()


def test_what_is_planned_for_garbage_is_kept_if_its_records_are_lost_since(roots: Roots) -> None:
    with open_store(smallstore.options(roots)) as store:
        store.layers.create_driver_layer(id="1" * 64)
        steps = store.plan_repair(store.check(Depth.RECORDS)).steps
        assert [step.action for step in steps] == [Action.REMOVE_DIRECTORY]
        spoil(roots, "layers", b"[]")
        before = everything(roots)
        (done,) = store.repair(steps)
        assert "layers.json" in done.error
    assert everything(roots) == before


def test_a_list_that_is_not_all_there_fails_and_shows_the_rest(
    roots: Roots, storagefs: Storagefs
) -> None:
    layer = spoil_record(roots)
    listed = storagefs("layers", "--quiet")
    assert listed.code == 1
    assert len(listed.out.split()) == 2
    assert layer.encode() in listed.err
    assert storagefs("layers", "--tree").code == 1
    assert storagefs("images").code == 0, "those are all there"


def test_a_check_counts_what_is_no_object_too(roots: Roots, storagefs: Storagefs) -> None:
    spoil_record(roots)
    assert b"files of the store itself" not in storagefs("check").err
    spoil(roots, "images", b"[")
    assert b"files of the store itself; see storagefs repair" in storagefs("check").err


@pytest.mark.parametrize(
    "words", ["layer {}", "changes {}", "mounted web", "exists {}", "metadata {}", "get-names {}"]
)
def test_what_may_be_in_records_that_cannot_be_read_is_not_called_unknown(
    roots: Roots, storagefs: Storagefs, words: str
) -> None:
    with open_store(smallstore.options(roots)) as store:
        layer = store.snapshot().layers.records[0].id
    spoil(roots, "layers", b"[")
    asked = storagefs(*words.format(layer).split())
    assert (asked.code, asked.out) == (1, b"")
    assert b"layers.json" in asked.err


def test_counts_of_mounts_that_cannot_be_read_can_be_thrown_away(
    roots: Roots, storagefs: Storagefs
) -> None:
    counts = roots.run / "overlay-layers/mountpoints.json"
    counts.parent.mkdir(parents=True, exist_ok=True)
    counts.write_bytes(bytes(30))
    refused = storagefs("mount", "web")
    assert b"delete the file once nothing of the store is mounted" in refused.err
    counts.unlink()
    assert storagefs("mount", "web").code == 0
    assert storagefs("unmount", "web").code == 0


@pytest.mark.parametrize("parent", [BASE, TOP])
def test_parents_in_a_circle_are_told_and_written_nowhere(roots: Roots, parent: str) -> None:
    path = roots.graph / "overlay-layers/layers.json"
    data = path.read_bytes()
    path.write_bytes(data.replace(b'{"id":"a', f'{{"parent":"{parent}","id":"a'.encode(), 1))
    before = everything(roots)
    with open_store(smallstore.options(roots)) as store:
        report = store.check(Depth.FILES)
        assert {(f.kind, f.fault, f.path) for f in report.findings} == {
            ("store", Fault.RECORD, str(path))
        }
        assert plan_of(store) == set()
    assert everything(roots) == before
