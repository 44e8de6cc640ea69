"""Opening stores: what is loaded, put right, listed as a problem, or refused."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from backend import (
    LayerUnknownError,
    NotAStoreError,
    ReadOnlyStoreError,
    RecordFileError,
    Store,
    StoreOptions,
    open_store,
)
from drivers.errors import WrongDriverError
from tests.support import bigstore
from tests.support.gotools import Roots

CREATED = '"created":"2026-01-01T00:00:00Z"'


def record(identifier: str, members: str = "") -> str:
    return f'{{"id":"{identifier}",{members}{CREATED}}}'


@pytest.fixture
def graph(tmp_path: Path) -> Path:
    """An empty vfs store without lock files."""
    for kind in ("layers", "images", "containers"):
        (tmp_path / "graph" / f"vfs-{kind}").mkdir(parents=True)
    (tmp_path / "graph" / "vfs" / "dir").mkdir(parents=True)
    return tmp_path / "graph"


@pytest.fixture
def options(graph: Path) -> StoreOptions:
    return StoreOptions(graph_root=str(graph), run_root=str(graph.parent / "run"))


@pytest.fixture
def read_only(options: StoreOptions) -> StoreOptions:
    return options._replace(read_only=True)


@pytest.fixture
def store(options: StoreOptions) -> Iterator[Store]:
    with open_store(options) as opened:
        yield opened


def layers_json(graph: Path, *records: str, name: str = "layers.json") -> Path:
    path = graph / "vfs-layers" / name
    path.write_text(f"[{','.join(records)}]")
    return path


def tree(path: Path) -> dict[str, int]:
    return {str(p): p.lstat().st_ctime_ns for p in sorted(path.rglob("*"))}


def test_read_only_nothing_is_created_or_touched(graph: Path, read_only: StoreOptions) -> None:
    layers_json(graph, record("a", '"flags":{"incomplete":true},'), record("b"))
    before = tree(graph.parent)
    with open_store(read_only) as store:
        assert [layer.id for layer in store.snapshot().layers] == ["a", "b"]
        with pytest.raises(ReadOnlyStoreError):
            store.layers.create()
        with pytest.raises(ReadOnlyStoreError):
            store.mounts.mount("b")
    assert tree(graph.parent) == before


def test_read_only_without_lock_files_a_change_is_still_seen(
    graph: Path, read_only: StoreOptions
) -> None:
    with open_store(read_only) as store:
        assert not store.snapshot().layers.records
        layers_json(graph, record("a"))
        assert store.snapshot().layers.get("a")


def test_opening_for_writing_sweeps_what_nobody_will_finish(
    graph: Path, options: StoreOptions
) -> None:
    half = '"flags":{"incomplete":true},'
    path = layers_json(
        graph, record("a", half), record("b", '"parent":"a",' + half), record("c", '"parent":"x",')
    )
    (graph / "vfs" / "dir" / "b").mkdir()
    (graph / "vfs-layers" / "b.tar-split.gz").touch()
    with open_store(options) as store:
        assert [layer.id for layer in store.cached().layers] == ["c"]
    assert path.read_text() == "[" + record("c", '"parent":"x",') + "]"
    assert os.listdir(graph / "vfs" / "dir") == []
    assert sorted(os.listdir(graph / "vfs-layers")) == ["layers.json", "layers.lock"]


def test_a_half_made_layer_with_a_child_stays_and_the_store_opens(
    graph: Path, options: StoreOptions
) -> None:
    layers_json(graph, record("a", '"flags":{"incomplete":true},'), record("b", '"parent":"a",'))
    with open_store(options) as store:
        assert [layer.id for layer in store.snapshot().layers] == ["a", "b"]
        assert [layer.id for layer in store.snapshot().layers] == ["a", "b"]


def test_a_name_belongs_to_the_last_record_and_both_files_are_saved(
    graph: Path, options: StoreOptions
) -> None:
    stable = layers_json(graph, record("a", '"names":["n","m","m"],'), record("b"))
    volatile = layers_json(graph, record("c", '"names":["n"],'), name="volatile-layers.json")
    with open_store(options) as store:
        layers = store.cached().layers
        assert [(layer.id, layer.names) for layer in layers] == [
            ("a", ("m",)),
            ("b", ()),
            ("c", ("n",)),
        ]
    assert stable.read_text().count('"m"') == 1
    assert '"n"' not in stable.read_text()
    assert '"n"' in volatile.read_text()


def test_a_repeated_id_counts_once(graph: Path, options: StoreOptions) -> None:
    path = layers_json(graph, record("a", '"names":["first"],'), record("a"))
    with open_store(options) as store:
        assert [layer.names for layer in store.cached().layers] == [("first",)]
    assert path.read_text().count('"id"') == 1


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b"\0" * 300, "300 NUL bytes"), (b'[{"id":"a"', "truncated"), (b"{}", "array")],
)
def test_a_damaged_file_is_a_problem_for_readers_and_refused_by_writers(
    graph: Path, store: Store, content: bytes, reason: str
) -> None:
    layers_json(graph, record("a"))
    path = graph / "vfs-images" / "images.json"
    path.write_bytes(content)
    snapshot = store.snapshot()
    assert snapshot.layers.get("a")
    (problem,) = snapshot.problems
    assert (problem.kind, problem.path) == ("store", str(path))
    assert reason in problem.reason
    assert problem.remedy
    with pytest.raises(RecordFileError, match=reason):
        store.images.create()
    assert path.read_bytes() == content
    path.write_bytes(b"[]")
    assert store.snapshot().problems == ()
    store.images.create()


@pytest.mark.parametrize("kind", ["directory", "fifo", "endless"])
def test_what_is_no_record_file_is_a_problem_and_nobody_waits_for_it(
    graph: Path, store: Store, kind: str
) -> None:
    layers_json(graph, record("a"))
    path = graph / "vfs-images" / "images.json"
    path.unlink(missing_ok=True)
    if kind == "directory":
        path.mkdir()
    elif kind == "fifo":
        os.mkfifo(path)
    else:
        path.symlink_to("/dev/zero")
    snapshot = store.snapshot()
    assert snapshot.layers.get("a")
    (problem,) = snapshot.problems
    assert (problem.kind, problem.path) == ("store", str(path))
    with pytest.raises(RecordFileError, match="it is"):
        store.images.create()


def test_one_bad_record_is_listed_and_its_file_never_rewritten(graph: Path, store: Store) -> None:
    path = layers_json(graph, record("a"), '{"id":"b","names":7}', record("c"))
    before = path.read_bytes()
    snapshot = store.snapshot()
    assert [layer.id for layer in snapshot.layers] == ["a", "c"]
    (problem,) = snapshot.problems
    assert (problem.kind, problem.id) == ("layer", "b")
    assert "names" in problem.reason
    with pytest.raises(RecordFileError, match="record 1"):
        store.layers.set_names("a", ["new"])
    assert path.read_bytes() == before


def test_an_image_with_a_bad_digest_is_listed(graph: Path, store: Store) -> None:
    path = graph / "vfs-images" / "images.json"
    path.write_text("[" + record("i", '"digest":"sha256:12",') + "]")
    (problem,) = store.snapshot().problems
    assert (problem.kind, problem.id) == ("image", "i")


def test_what_records_refer_to_in_vain_is_listed(graph: Path, read_only: StoreOptions) -> None:
    layers_json(
        graph,
        record("a", '"parent":"gone",'),
        record("../b"),
        record("c", '"flags":{"incomplete":true},'),
    )
    (graph / "vfs-images" / "images.json").write_text("[" + record("i", '"layer":"gone",') + "]")
    container = record("w", '"image":"gone","layer":"gone",')
    (graph / "vfs-containers" / "containers.json").write_text(f"[{container}]")
    with open_store(read_only) as store:
        problems = store.snapshot().problems
    assert [(problem.kind, problem.id) for problem in problems] == [
        ("layer", "../b"),
        ("layer", "a"),
        ("layer", "c"),
        ("image", "i"),
        ("container", "w"),
        ("container", "w"),
    ]
    assert all(problem.reason and problem.remedy and problem.path for problem in problems)


def test_a_table_is_shared_until_its_records_change(graph: Path, store: Store) -> None:
    layers_json(graph, record("a"))
    first = store.snapshot()
    assert store.snapshot() is first
    store.images.create()
    second = store.snapshot()
    assert second.layers is first.layers
    assert second.images is not first.images
    assert len(first.images) == 0


def test_records_of_an_additional_store_are_there_and_read_only(
    tmp_path: Path, graph: Path, options: StoreOptions
) -> None:
    more = tmp_path / "more"
    (more / "vfs-layers").mkdir(parents=True)
    (more / "vfs-images").mkdir()
    (more / "vfs-layers" / "layers.json").write_text("[" + record("x", '"names":["n"],') + "]")
    layers_json(graph, record("a"))
    before = tree(more)
    with open_store(options._replace(driver_options=(f"vfs.imagestore={more}",))) as store:
        layers = store.snapshot().layers
        assert [(layer.id, layer.read_only) for layer in layers] == [("a", False), ("x", True)]
        with pytest.raises(ReadOnlyStoreError, match="layer x"):
            store.layers.set_names("n", ["other"])
        with pytest.raises(LayerUnknownError):
            store.layers.set_names("unknown", ["other"])
    assert tree(more) == before


@pytest.mark.parametrize("content", [None, "file"])
def test_what_is_no_store_is_refused(tmp_path: Path, content: str | None) -> None:
    graph = tmp_path / "graph"
    graph.mkdir()
    if content:
        (graph / content).touch()
    options = StoreOptions(
        graph_root=str(graph), run_root=str(tmp_path / "run"), read_only=not content
    )
    with pytest.raises(NotAStoreError, match="no store") as caught:
        open_store(options)
    assert caught.value.remedy
    assert sorted(os.listdir(tmp_path)) == ["graph"]


def test_a_missing_root_is_refused_read_only(tmp_path: Path) -> None:
    missing = str(tmp_path / "missing")
    with pytest.raises(NotAStoreError, match="no such directory"):
        open_store(StoreOptions(graph_root=missing, run_root=missing, read_only=True))


def test_a_store_of_another_driver_is_refused(graph: Path, options: StoreOptions) -> None:
    layers_json(graph, record("a"))
    with pytest.raises(WrongDriverError, match="a store of vfs, not of overlay"):
        open_store(options._replace(driver="overlay"))


def test_two_drivers_without_a_choice_are_refused(graph: Path, options: StoreOptions) -> None:
    layers_json(graph)
    (graph / "overlay-layers").mkdir()
    (graph / "overlay-layers" / "layers.json").write_text("[]")
    with pytest.raises(WrongDriverError, match="overlay, vfs"):
        open_store(options)
    with open_store(options._replace(driver="vfs")) as store:
        assert store.paths.driver == "vfs"


def test_records_that_cannot_be_looked_for_do_not_make_it_a_store_of_another_driver(
    graph: Path, options: StoreOptions
) -> None:
    layers_json(graph)
    (graph / "overlay-layers").symlink_to("overlay-layers")
    with pytest.raises(OSError, match="overlay-layers"):
        open_store(options)


def test_ten_thousand_layers_open_in_well_under_a_second(tmp_path: Path) -> None:
    import time

    roots = Roots(tmp_path / "graph", tmp_path / "run")
    bigstore.make(roots, 10_000, with_directories=False)
    options = StoreOptions(graph_root=str(roots.graph), run_root=str(roots.run))
    started = time.process_time()
    with open_store(options) as store:
        assert store.cached().layers.find("layer-9999")
    assert time.process_time() - started < 1
