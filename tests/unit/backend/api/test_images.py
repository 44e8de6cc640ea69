"""Verbs on images that need no other tool to judge them."""

import os
from pathlib import Path

import pytest

from backend import (
    DamagedError,
    DuplicateIDError,
    ImageInUseError,
    ImageUnknownError,
    InvalidValueError,
    LayerUnknownError,
    NotMountedError,
    ReadOnlyStoreError,
    Store,
    StoreOptions,
    open_store,
)
from drivers.idmap.maps import IDMap

pytestmark = pytest.mark.root

OTHER, THIRD = (f"sha256:{digit * 64}" for digit in "23")
MAP = (IDMap(0, 1000, 100),)


def images_of(root: str, driver: str) -> Path:
    return Path(root, f"{driver}-images")


def with_image_store(options: StoreOptions) -> StoreOptions:
    return options._replace(image_store=options.graph_root + "-images")


def test_what_was_written_for_an_image_goes_when_it_fails_and_nothing_else(store: Store) -> None:
    directory = Path(store.paths.images, "a" * 64)
    (directory / "userdata").mkdir(parents=True)
    (directory / "second").mkdir()  # nothing can be renamed to it
    items = [("first", b"1", None), ("second", b"2", None)]
    with pytest.raises(IsADirectoryError):
        store.images.create(id="a" * 64, big_data=items)
    assert len(store.snapshot().images) == 0
    assert sorted(os.listdir(directory)) == ["second", "userdata"]
    (directory / "second").rmdir()
    (directory / "userdata").rmdir()
    with pytest.raises(LayerUnknownError):
        store.images.create(id="b" * 64, layer="none", big_data=items)
    store.images.create(id="a" * 64, big_data=items)
    assert sorted(os.listdir(store.paths.images)) == ["a" * 64, "images.json", "images.lock"]


def test_a_digest_that_is_given_counts_instead_of_that_of_the_bytes(store: Store) -> None:
    image = store.images.create(names=["i"], big_data=[("manifest", b"signed", OTHER)])
    assert image.digest == image.big_data_digests["manifest"] == OTHER
    again = store.images.set_big_data("i", "manifest-2", b"x", digest=THIRD)
    assert again.digest == OTHER
    assert [found.id for found in store.images.by_digest(THIRD)] == [image.id]
    assert store.images.by_digest("sha256:" + "4" * 64) == []
    for bad in ("sha256:12", "md5:" + "0" * 32, "nothing"):
        with pytest.raises(InvalidValueError):
            store.images.by_digest(bad)
        with pytest.raises(InvalidValueError):
            store.images.set_big_data("i", "manifest", b"x", digest=bad)


def test_directories_are_made_on_demand_and_go_with_the_image(store: Store) -> None:
    image = store.images.create(names=["i"], big_data=[("one", b"1", None)])
    directory, running = store.images.directory("i"), store.images.run_directory("i")
    assert directory == f"{store.paths.images}/{image.id}/userdata"
    assert running == f"{store.options.run_root}/{store.paths.driver}-images/{image.id}/userdata"
    for path in (directory, running):
        assert os.stat(path).st_mode & 0o777 == 0o700
        Path(path, "file").write_text("x")
    with pytest.raises(ImageUnknownError):
        store.images.directory("nobody")
    assert os.listdir(os.path.dirname(os.path.dirname(running))) == [image.id]
    with pytest.raises(InvalidValueError):
        store.images.set_big_data("i", "userdata", b"")
    store.images.delete("i")
    assert not os.path.exists(os.path.dirname(directory))
    assert not os.path.exists(os.path.dirname(running))


def test_a_size_is_that_of_every_layer_once_and_of_the_items(store: Store) -> None:
    base = store.layers.create(writable=False)
    Path(store.driver.diff_directory(base.id), "file").write_bytes(b"x" * 1000)
    top = store.layers.create(parent=base.id, writable=False)
    Path(store.driver.diff_directory(top.id), "more").write_bytes(b"x" * 30)
    store.images.create(names=["i"], layer=top.id, big_data=[("k", b"12345", None)])
    assert store.images.size("i") == 1035
    store.images.create(names=["bare"], big_data=[("k", b"12345", None)])
    assert store.images.size("bare") == 5


def test_an_image_is_mounted_read_only_under_the_hosts_ids(store: Store) -> None:
    layer = store.layers.create(writable=False)
    file = Path(store.driver.diff_directory(layer.id), "file")
    file.write_text("x")
    os.chown(file, 7, 8)
    store.images.create(names=["i"], layer=layer.id)
    store.containers.create(names=["c"], image="i", uid_map=MAP, gid_map=MAP)
    status = Path(store.images.mount("i"), "file").stat()
    assert (status.st_uid, status.st_gid) == (7, 8)
    assert store.mounts.count(layer.id) == 1
    store.images.mount("i")
    assert store.images.unmount("i") is False
    assert store.images.unmount("i") is True
    with pytest.raises(NotMountedError):
        store.images.unmount("i")


def test_an_image_whose_layer_is_mapped_is_mounted_by_an_unmapped_copy(
    tmp_path: Path,
) -> None:
    options = StoreOptions(str(tmp_path / "graph"), str(tmp_path / "run"), driver="vfs")
    with open_store(options) as store:
        layer = store.layers.create(writable=False, uid_map=MAP, gid_map=MAP)
        assert layer.uid_map == MAP
        file = Path(store.driver.diff_directory(layer.id), "file")
        file.write_text("x")
        os.chown(file, 1007, 1008)
        store.images.create(names=["i"], layer=layer.id)
        status = Path(store.images.mount("i"), "file").stat()
        assert (status.st_uid, status.st_gid) == (7, 8)
        [copy] = store.snapshot().images.by_name["i"].mapped_layers
        assert store.mounts.count(copy) == 1
        assert store.images.unmount("i") is True
        assert list(store.images.delete("i")) == [copy, layer.id]


def test_what_cannot_be_mounted_says_why(store: Store) -> None:
    store.images.create(names=["bare"])
    for verb in (store.images.mount, store.images.unmount):
        with pytest.raises(LayerUnknownError, match="top layer of image"):
            verb("bare")


def test_what_would_go_is_said_without_deleting_it(store: Store) -> None:
    base = store.layers.create(writable=False)
    top = store.layers.create(parent=base.id, writable=False)
    store.images.create(names=["i"], layer=top.id)
    store.images.create(names=["small"], layer=base.id)
    assert store.images.delete("i", commit=False) == [top.id]
    assert len(store.snapshot().images) == 2
    store.containers.create(names=["c"], image="i")
    with pytest.raises(ImageInUseError):
        store.images.delete("i", commit=False)
    store.containers.delete("c")
    assert store.images.delete("i") == [top.id]
    assert store.images.delete("small") == [base.id]


def test_with_an_image_store_images_are_there_and_containers_in_the_graph_root(
    options: StoreOptions,
) -> None:
    split = with_image_store(options)
    with open_store(split) as store:
        layer = store.layers.create(names=["l"], writable=False)
        image = store.images.create(names=["i"], layer="l", big_data=[("manifest", b"{}", None)])
        store.containers.create(names=["c"], image="i")
        assert image.location == str(images_of(split.image_store, options.driver) / "images.json")
        assert (images_of(split.image_store, options.driver) / image.id / "manifest").is_file()
        assert not (images_of(options.graph_root, options.driver) / image.id).exists()
        directory = store.images.directory("i")
        assert directory.startswith(f"{options.graph_root}/")
        assert store.mounts.mount("c")
        store.mounts.unmount("c")
        store.containers.delete("c")
        assert store.images.delete("i") == [layer.id]
        assert not os.path.exists(os.path.dirname(directory))
        left = os.listdir(images_of(split.image_store, options.driver))
        assert sorted(left) == ["images.json", "images.lock"]
    assert len(open_store(split).snapshot().layers) == 0


def test_beside_an_image_store_the_images_of_the_graph_root_can_be_renamed_and_deleted(
    options: StoreOptions,
) -> None:
    with open_store(options) as store:
        layer = store.layers.create(writable=False)
        for name in ("one", "two"):
            store.images.create(names=[name], layer=layer.id, big_data=[("manifest", b"1", None)])
    with open_store(with_image_store(options)) as store:
        one, two = (store.snapshot().images.by_name[name] for name in ("one", "two"))
        assert not one.read_only
        with pytest.raises(ReadOnlyStoreError):
            store.images.set_metadata("one", "x")
        assert store.images.add_names("one", ["uno"]).names == ("uno", "one")
        assert store.images.big_data("uno", "manifest") == b"1"
        assert len(store.snapshot().images) == 2
        assert store.images.delete("uno") == []  # the layer is that of the other image, too
        assert store.images.delete("two") == [layer.id]
        assert len(store.snapshot().images) == 0
    with open_store(options) as store:
        assert len(store.snapshot().images) == 0
        assert not os.path.exists(f"{store.paths.images}/{one.id}")
        assert not os.path.exists(f"{store.paths.images}/{two.id}")


def test_a_known_id_is_refused_and_nothing_is_written(store: Store) -> None:
    store.images.create(id="a" * 64, big_data=[("k", b"1", None)])
    with pytest.raises(DuplicateIDError):
        store.images.create(id="a" * 64, big_data=[("k", b"2", None)])
    assert store.images.big_data("a" * 64, "k") == b"1"


def test_an_item_too_large_to_hold_or_missing_keeps_an_image_where_it_is(tmp_path: Path) -> None:
    shared = StoreOptions(str(tmp_path / "shared"), str(tmp_path / "s"), driver="vfs")
    with open_store(shared) as store:
        image = store.images.create(names=["far"], big_data=[("a", b"1", None), ("b", b"2", None)])
    item = tmp_path / "shared" / "vfs-images" / image.id / "b"
    options = StoreOptions(
        str(tmp_path / "graph"),
        str(tmp_path / "run"),
        driver="vfs",
        driver_options=(f"vfs.imagestore={tmp_path}/shared",),
    )
    with open_store(options) as store:
        os.truncate(item, 100 << 30)
        with pytest.raises(InvalidValueError, match="107374182400 bytes"):
            store.images.set_names("far", ["near"])
        item.unlink()
        with pytest.raises(DamagedError, match="no file"):
            store.images.set_names("far", ["near"])
        assert store.snapshot().images.by_name["far"].read_only
        assert os.listdir(store.paths.images) == ["images.lock"]
