"""Layers whose making or deletion was cut off: the next writer brings it to an end."""

import os
from pathlib import Path

import inotify_simple
import pytest

from backend import Store, StoreOptions, open_store
from backend.files.unsettled import Unsettled
from backend.model.findings import Depth
from drivers.ids import LayerID

pytestmark = pytest.mark.root

NEW = LayerID("d" * 64)


def unsettled(store: Store) -> Unsettled:
    return Unsettled(store.paths.unsettled_layers)


def test_the_records_are_replaced_once_to_make_a_layer_and_once_to_delete_it(store: Store) -> None:
    store.layers.create(names=["base"])
    with inotify_simple.INotify() as watch:
        both = inotify_simple.flags.MOVED_FROM | inotify_simple.flags.MOVED_TO  # or they are merged
        watch.add_watch(store.paths.layers, both)
        store.layers.create(names=["new"])
        store.layers.delete("new")
        replaced = [event.name for event in watch.read(timeout=0)]
    assert replaced.count("layers.json") == 2
    assert not os.path.exists(store.paths.unsettled_layers)


def test_what_a_dead_writer_made_without_a_record_goes_when_the_store_is_opened(
    store: Store, options: StoreOptions
) -> None:
    store.layers.create_driver_layer(id=NEW)
    tar_split = Path(store.paths.tar_split(NEW))
    tar_split.write_bytes(b"half")
    unsettled(store).add([NEW])
    with open_store(options) as opened:
        assert opened.layers.driver_layers() == []
        assert not tar_split.exists()
        assert opened.check(Depth.FILES).sound
        assert unsettled(opened).find() == ()


def test_what_has_its_record_by_then_stays(store: Store, options: StoreOptions) -> None:
    store.layers.create(id=NEW)
    unsettled(store).add([NEW])
    with open_store(options) as opened:
        assert NEW in opened.snapshot().layers
        assert os.path.isdir(opened.driver.diff_directory(NEW))
        assert unsettled(opened).find() == ()
        assert opened.check(Depth.FILES).sound


def test_who_only_reads_puts_nothing_right(store: Store, options: StoreOptions) -> None:
    store.layers.create_driver_layer(id=NEW)
    unsettled(store).add([NEW])
    only = StoreOptions(
        graph_root=options.graph_root,
        run_root=options.run_root,
        driver=options.driver,
        read_only=True,
    )
    with open_store(only) as opened:
        assert list(opened.layers.driver_layers()) == [NEW]
    assert unsettled(store).find() == [NEW]


def test_names_that_are_nobodys_do_no_harm(store: Store, options: StoreOptions) -> None:
    store.layers.create(id=NEW)
    directory = Path(store.paths.unsettled_layers)
    (directory / "a directory").mkdir(parents=True)
    (directory / "link").symlink_to(store.paths.layers)
    with open_store(options) as opened:
        opened.layers.create(names=["more"])
        assert opened.check(Depth.FILES).sound
        assert len(opened.snapshot().layers) == 2
    (directory / "a directory").rmdir()
    directory.rmdir()
    directory.write_bytes(b"")
    with open_store(options) as opened:
        opened.layers.create()
        opened.layers.delete("more")
        assert len(opened.snapshot().layers) == 2
