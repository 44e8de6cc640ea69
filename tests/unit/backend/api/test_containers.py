"""Verbs on containers, and on whatever a reference means, without another tool as a judge."""

import os
import shutil
from pathlib import Path

import pytest

from backend import (
    BigDataUnknownError,
    ContainerUnknownError,
    DuplicateIDError,
    DuplicateNameError,
    ImageUnknownError,
    LayerUnknownError,
    ReadOnlyStoreError,
    Store,
    StoreOptions,
    open_store,
)
from drivers.erase import erase_tree
from drivers.idmap.maps import IDMap
from drivers.protocol import NewLayer, StagedLayer

pytestmark = pytest.mark.root

MAP = (IDMap(0, 1000, 100),)
OTHER_MAP = (IDMap(0, 5000, 100),)


def make_image(store: Store, name: str = "img") -> Path:
    """An image with one layer; the place for its files."""
    layer = store.layers.create(writable=False)
    store.images.create(names=[name], layer=layer.id)
    return Path(store.driver.diff_directory(layer.id))


def owner_of(store: Store, container: str, path: str) -> int:
    """The owner of a file in a container's merged view."""
    place = store.mounts.mount(container)
    try:
        return os.lstat(os.path.join(place, path)).st_uid
    finally:
        store.mounts.unmount(container)


def test_what_was_made_for_a_container_goes_when_it_fails(store: Store) -> None:
    make_image(store)
    before = store.snapshot().layers.records
    obstacle = Path(store.paths.containers, "a" * 64, "second")
    obstacle.mkdir(parents=True)  # nothing can be renamed to it
    with pytest.raises(IsADirectoryError):
        store.containers.create(
            id="a" * 64, image="img", big_data=[("first", b"1"), ("second", b"2")]
        )
    with pytest.raises(DuplicateIDError):
        store.containers.create(layer_id=before[0].id, big_data=[("first", b"1")])
    assert store.snapshot().layers.records == before
    assert len(store.snapshot().containers) == 0
    assert os.listdir(obstacle.parent) == ["second"]
    assert store.driver.list_layers() == [before[0].id]
    store.containers.create(names=["c"])
    with pytest.raises(DuplicateNameError):
        store.containers.create(names=["c"])
    assert len(store.snapshot().layers) == 2


def test_items_keep_their_sizes_and_digests(store: Store) -> None:
    container = store.containers.create(names=["c"], big_data=[("k", b"12345")])
    assert store.containers.big_data_size("c", "k") == 5
    assert store.containers.big_data_digest("c", "k") == container.big_data_digests["k"]
    for verb in (store.containers.big_data_size, store.containers.big_data_digest):
        with pytest.raises(BigDataUnknownError):
            verb("c", "other")
    records = Path(store.paths.containers, "containers.json")
    text = records.read_text()
    begin, end = text.index('"big-data-sizes"'), text.index('"created"')
    records.write_text(text[:begin] + text[end:])  # as an old tool may have written it
    assert store.containers.big_data_size("c", "k") == 5
    assert store.containers.big_data_digest("c", "k") == container.big_data_digests["k"]


def test_a_size_counts_own_files_items_and_directories(store: Store) -> None:
    (make_image(store) / "below").write_bytes(b"x" * 1000)
    container = store.containers.create(names=["c"], image="img", big_data=[("k", b"12345")])
    assert store.containers.size("c") == 5
    own = Path(store.driver.diff_directory(container.layer))
    (own / "file").write_bytes(b"x" * 70)
    os.link(own / "file", own / "twin")
    Path(store.containers.directory("c"), "a").write_bytes(b"x" * 200)
    nested = Path(store.containers.run_directory("c"), "b")
    nested.mkdir()
    (nested / "c").write_bytes(b"x" * 3000)
    (nested / "link").symlink_to("c")
    os.link(nested / "c", nested / "d")
    assert store.containers.size("c") == 5 + 70 + 200 + 3000 + 1


def test_containers_with_equal_maps_share_one_mapped_copy(tmp_path: Path) -> None:
    options = StoreOptions(str(tmp_path / "graph"), str(tmp_path / "run"), driver="vfs")
    with open_store(options) as store:
        (make_image(store) / "file").write_text("x")
        for number in range(2):
            store.containers.create(names=[f"a{number}"], image="img", uid_map=MAP, gid_map=MAP)
        store.containers.create(names=["b"], image="img", uid_map=OTHER_MAP, gid_map=OTHER_MAP)
        store.containers.create(names=["plain"], image="img")
        image = store.snapshot().images.by_name["img"]
        assert len(image.mapped_layers) == 2
        owners = [owner_of(store, name, "file") for name in ("a0", "a1", "b", "plain")]
        assert owners == [1000, 1000, 5000, 0]
        layers = store.snapshot().layers
        assert layers.by_id[image.mapped_layers[0]].uid_map == MAP
        assert store.images.by_top_layer(image.mapped_layers[1])[0].id == image.id
        for name in ("a0", "a1", "b", "plain"):
            store.containers.delete(name)
        store.layers.delete(image.mapped_layers[0])
        kept = store.snapshot().images.by_name["img"].mapped_layers
        assert kept == image.mapped_layers[1:]
        assert store.images.delete("img") == [*kept, image.layer]
        assert store.driver.list_layers() == []


@pytest.mark.parametrize("driver", ["vfs", pytest.param("overlay", marks=pytest.mark.overlay)])
def test_an_image_of_an_additional_store_is_mapped_for_each_container(
    tmp_path: Path, driver: str
) -> None:
    shared = StoreOptions(str(tmp_path / "shared"), str(tmp_path / "s"), driver=driver)
    with open_store(shared) as store:
        (make_image(store) / "file").write_text("x")
    records = tmp_path / "shared" / f"{driver}-images" / "images.json"
    before = records.read_bytes()
    options = StoreOptions(
        str(tmp_path / "graph"),
        str(tmp_path / "run"),
        driver=driver,
        driver_options=(f"{driver}.imagestore={tmp_path}/shared",),
        id_shifting=False,
    )
    with open_store(options) as store:
        store.containers.create(names=["c"], image="img", uid_map=MAP, gid_map=MAP)
        assert owner_of(store, "c", "file") == 1000
        [own] = [layer for layer in store.snapshot().layers if not layer.read_only]
        assert own.uid_map == MAP
        with pytest.raises(ReadOnlyStoreError):
            store.images.mount("img")
        with pytest.raises(ReadOnlyStoreError):
            store.delete("img")
        store.containers.delete("c")
    assert records.read_bytes() == before


def test_layers_without_a_parent_have_the_store_s_maps(options: StoreOptions) -> None:
    with open_store(options._replace(uid_map=MAP, gid_map=MAP)) as store:
        container = store.containers.create(names=["c"])
        asked = store.containers.create(names=["asked"], uid_map=OTHER_MAP, gid_map=OTHER_MAP)
        host = store.containers.create(names=["host"], host_uid_mapping=True, host_gid_mapping=True)
        assert (container.uid_map, host.uid_map, asked.uid_map) == ((), (), OTHER_MAP)
        layers = store.snapshot().layers.by_id
        shifts = options.driver == "overlay"
        assert layers[container.layer].uid_map == (() if shifts else MAP)
        assert layers[asked.layer].uid_map == (() if shifts else OTHER_MAP)
        assert layers[host.layer].uid_map == ()
        assert store.mounts.mount("c")
        store.mounts.unmount("c")


def test_a_transient_store_forgets_its_containers_when_the_machine_starts_again(
    options: StoreOptions,
) -> None:
    transient = options._replace(transient=True)
    records = f"{options.driver}-containers"
    with open_store(transient) as store:
        make_image(store)
        container = store.containers.create(names=["c"], image="img", big_data=[("k", b"1")])
        store.images.set_names("img", ["img", "other"])
        assert container.flags["Volatile"] is True
        assert container.location == f"{options.run_root}/{records}/volatile-containers.json"
        layer = store.snapshot().layers.by_id[container.layer]
        assert layer.location == f"{options.run_root}/{options.driver}-layers/volatile-layers.json"
        assert os.path.exists(f"{options.run_root}/{records}/containers.lock")
        assert not os.path.exists(f"{options.graph_root}/{records}/containers.lock")
        assert os.path.isfile(f"{options.graph_root}/{records}/{container.id}/k")
        store.mounts.mount("c")
        store.mounts.unmount("c")
    with open_store(options) as store:  # without the flag it is another set of containers
        assert len(store.snapshot().containers) == 0
        assert len(store.snapshot().layers) == 1
    erase_tree(options.run_root)
    with open_store(transient) as store:
        assert len(store.snapshot().containers) == 0
        assert len(store.snapshot().layers) == 1
        assert store.snapshot().images.by_name["other"].layer
        store.containers.create(names=["c"], image="img")
        store.containers.delete("c")


def test_whatever_a_reference_means_exists_and_is_deleted_without_a_question(store: Store) -> None:
    make_image(store)
    container = store.containers.create(names=["c"], image="img")
    image = store.snapshot().images.by_name["img"]
    for reference in ("c", "img", image.id[:9], container.layer, image.layer or ""):
        assert store.exists(reference)
    for reference in ("nobody", ""):
        assert not store.exists(reference)
        with pytest.raises(LayerUnknownError):
            store.delete(reference)
    store.mounts.mount("c")
    store.delete("img")
    assert store.snapshot().images.records == ()
    store.delete(container.layer)  # a container's layer means the container
    with pytest.raises(ContainerUnknownError):
        store.containers.find("c")
    assert [layer.id for layer in store.snapshot().layers] == [image.layer]
    store.delete(image.layer or "")
    assert store.snapshot().layers.records == ()
    assert store.driver.list_layers() == []


def test_a_container_whose_layer_is_gone_can_be_deleted(store: Store) -> None:
    for verb in (store.containers.delete, store.delete):
        container = store.containers.create(names=["c"])
        records = Path(container.location).with_name("kept")
        shutil.copy(container.location, records)
        store.containers.delete("c")
        shutil.copy(records, container.location)
        with pytest.raises(LayerUnknownError):
            store.mounts.mount("c")
        verb("c")
        assert not store.exists("c")


def test_a_mapped_copy_that_is_deleted_is_taken_out_of_its_image(tmp_path: Path) -> None:
    options = StoreOptions(str(tmp_path / "graph"), str(tmp_path / "run"), driver="vfs")
    with open_store(options) as store:
        make_image(store)
        store.containers.create(names=["c"], image="img", uid_map=MAP, gid_map=MAP)
        store.containers.delete("c")
        [copy] = store.snapshot().images.by_name["img"].mapped_layers
        store.delete(copy)
        assert store.snapshot().images.by_name["img"].mapped_layers == ()


def test_an_image_in_the_graph_root_of_a_split_store_forgets_its_mapped_copy_too(
    options: StoreOptions,
) -> None:
    whole = options._replace(id_shifting=False)
    with open_store(whole) as store:
        make_image(store)
        store.containers.create(names=["c"], image="img", uid_map=MAP, gid_map=MAP)
        store.containers.delete("c")
        [copy] = store.snapshot().images.by_name["img"].mapped_layers
    with open_store(whole._replace(image_store=options.graph_root + "-images")) as store:
        store.delete(copy)
        assert store.snapshot().images.by_name["img"].mapped_layers == ()


def test_with_an_image_store_mapped_copies_are_there_too(options: StoreOptions) -> None:
    split = options._replace(image_store=options.graph_root + "-images", id_shifting=False)
    with open_store(split) as store:
        (make_image(store) / "file").write_text("x")
        store.containers.create(names=["c"], image="img", uid_map=MAP, gid_map=MAP)
        image = store.snapshot().images.by_name["img"]
        [copy] = image.mapped_layers
        layers = store.snapshot().layers.by_id
        assert layers[copy].location == layers[image.layer or ""].location
        assert layers[copy].location.startswith(split.image_store)
        own = layers[store.snapshot().containers.by_name["c"].layer]
        assert own.location.startswith(options.graph_root + "/")
        assert (own.parent, own.uid_map, layers[copy].uid_map) == (copy, MAP, MAP)
        assert owner_of(store, "c", "file") == 1000
        store.containers.delete("c")
        assert store.images.delete("img") == [copy, image.layer]
        assert store.snapshot().layers.records == ()
        left = [path for path in Path(split.image_store).rglob("file") if path.is_file()]
        assert left == []


@pytest.mark.parametrize("options", ["vfs"], indirect=True)
def test_others_go_on_while_a_driver_copies_what_a_container_stands_on(
    store: Store, options: StoreOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    (make_image(store) / "file").write_text("x")
    stage = store.driver.stage

    def slow(new: NewLayer) -> StagedLayer:
        with open_store(options) as peer:
            peer.images.add_names("img", [f"renamed{len(peer.snapshot().containers)}"])
        return stage(new)

    monkeypatch.setattr(store.driver, "stage", slow)
    store.containers.create(names=["c"], image="img")
    store.containers.create(names=["m"], image="img", uid_map=MAP, gid_map=MAP)  # copied inside
    store.containers.create(names=["n"], image="img", uid_map=MAP, gid_map=MAP)
    assert store.snapshot().images.by_name["img"].names == ("renamed2", "renamed0", "img")
    owners = [owner_of(store, container, "file") for container in ("c", "m", "n")]
    assert owners == [0, 1000, 1000]
    assert os.listdir(Path(store.driver.home)) == ["dir"]


@pytest.mark.parametrize("options", ["vfs"], indirect=True)
def test_a_copy_that_is_not_the_right_one_any_more_is_not_taken(
    store: Store, options: StoreOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_image(store)
    old = store.snapshot().images.by_name["img"].layer
    stage = store.driver.stage

    def late(new: NewLayer) -> StagedLayer:
        staged = stage(new)
        monkeypatch.undo()
        with open_store(options) as peer:
            peer.images.delete("img")
            (make_image(peer) / "new").write_text("x")
        return staged

    def too_late(new: NewLayer) -> StagedLayer:
        monkeypatch.undo()
        with open_store(options) as peer:
            peer.images.delete("img")
        return stage(new)

    monkeypatch.setattr(store.driver, "stage", late)
    made = store.containers.create(names=["c"], image="img")
    layers = store.snapshot().layers.by_id
    assert old not in layers
    assert os.listdir(store.driver.diff_directory(made.layer)) == ["new"]
    store.containers.delete("c")
    monkeypatch.setattr(store.driver, "stage", too_late)
    with pytest.raises(ImageUnknownError):
        store.containers.create(names=["c"], image="img")
    assert store.snapshot().layers.records == ()
    assert os.listdir(Path(store.driver.home)) == ["dir"]
    assert store.driver.list_layers() == []
