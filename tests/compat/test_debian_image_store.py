"""The library on a store that buildah and skopeo wrote: Go agrees in all."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from backend import ReadOnlyStoreError, Store, StoreOptions, open_store
from tests.support import debian, gochanges, recordcheck, treefacts
from tests.support.gotools import GoTools, Roots

pytestmark = [pytest.mark.overlay, pytest.mark.gotools, pytest.mark.debian_image]


@contextlib.contextmanager
def opened(roots: Roots, *, read_only: bool = False) -> Iterator[Store]:
    options = StoreOptions(
        graph_root=str(roots.graph), run_root=str(roots.run), driver="overlay", read_only=read_only
    )
    store = open_store(options)
    try:
        yield store
    finally:
        store.close()


def test_every_record_reads_as_the_go_tool_reads_it(debian_store: Roots) -> None:
    go = GoTools(debian_store)
    with opened(debian_store, read_only=True) as store:
        snapshot = store.snapshot()
    assert snapshot.problems == ()
    for theirs in go.storage_json("layers", "--json"):
        ours = snapshot.layers.by_id[theirs["id"]]
        assert (ours.parent or "") == theirs.get("parent", "")
        assert ours.diff_digest == theirs["diff-digest"]
        assert ours.diff_size == theirs["diff-size"]
        assert ours.created == theirs["created"]
    for theirs in go.storage_json("images", "--json"):
        ours_image = snapshot.images.by_id[theirs["id"]]
        assert list(ours_image.names) == theirs["names"]
        assert ours_image.digest == theirs["digest"]
        assert list(ours_image.big_data_names) == theirs["big-data-names"]


def test_manifests_are_what_skopeo_inspects(debian_store: Roots) -> None:
    go = GoTools(debian_store)
    with opened(debian_store, read_only=True) as store:
        for name in (debian.IMAGE, debian.COPIED):
            manifest = go.skopeo("inspect", "--raw", go.image(name))
            assert store.images.big_data(name, "manifest") == manifest


@pytest.mark.parametrize("reference", [debian.BASE, debian.MIDDLE, debian.IMAGE, debian.COPIED])
def test_changes_are_those_of_the_go_tool(reference: str, debian_store: Roots) -> None:
    go = GoTools(debian_store)
    with opened(debian_store, read_only=True) as store:
        image = store.snapshot().images.find(reference)
        assert image is not None
        assert image.layer is not None
        theirs = gochanges.parse(go.storage("changes", image.layer))
        ours = {
            (gochanges.LETTERS[change.kind.name.title()], change.path)
            for change in store.layers.changes(image.layer)
        }
    assert sorted(ours ^ theirs) == []


def test_reading_leaves_no_trace_in_the_store(debian_roots: Roots) -> None:
    before = treefacts.of(debian_roots.graph)
    with opened(debian_roots, read_only=True) as store:
        image = store.snapshot().images.find(debian.IMAGE)
        assert image is not None
        assert store.images.big_data(image.id, "manifest")
        with pytest.raises(ReadOnlyStoreError):
            store.containers.create(image=image.id, names=("no",))
    assert treefacts.differences(treefacts.of(debian_roots.graph), before) == []
    assert not debian_roots.run.exists()


def test_the_go_tool_accepts_what_we_write(debian_roots: Roots) -> None:
    go = GoTools(debian_roots)
    with opened(debian_roots) as store:
        container = store.containers.create(image=debian.IMAGE, names=("ours",))
        merged = store.mounts.mount(container.id)
        Path(merged, "written").write_text("by us\n")
        assert store.mounts.count(container.id) == 1
        assert Path(go.storage("mount", "ours").strip(), "written").read_text() == "by us\n"
        assert store.mounts.count(container.id) == 2
        go.storage("unmount", "ours")
        assert store.mounts.unmount(container.id)
        store.containers.set_names(container.id, ("renamed", "twice"))
        (theirs,) = go.storage_json("containers", "--json")
        assert theirs["names"] == ["renamed", "twice"]
        store.containers.delete("renamed")
        assert go.storage_json("containers", "--json") == []
        gone = store.images.delete(debian.COPIED)
    assert len(gone) == 2
    left = {layer["id"] for layer in go.storage_json("layers", "--json")}
    assert len(left) == 3
    assert not left & set(gone)
    assert recordcheck.problems(go) == []


def test_we_see_what_the_go_tools_do_at_once(debian_roots: Roots) -> None:
    go = GoTools(debian_roots)
    with opened(debian_roots) as store:
        assert len(store.snapshot().containers) == 0
        name = go.buildah("from", "--pull-never", debian.IMAGE)
        container = store.snapshot().containers.find(name)
        assert container is not None
        path = go.buildah("mount", name)
        assert store.mounts.count(container.id) == 1
        assert os.path.basename(os.path.dirname(path)) == container.layer
        go.buildah("umount", name)
        go.buildah("rm", name)
        assert len(store.snapshot().containers) == 0
    assert recordcheck.problems(go) == []
