"""Images: we and the Go tools write the same, and each uses what the other made."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from backend import ReadOnlyStoreError, Store, StoreOptions, open_store
from tests.support import samerecords
from tests.support.gotools import GoTools, Roots

pytestmark = [pytest.mark.root, pytest.mark.overlay, pytest.mark.gotools]

DRIVERS = ("overlay", "vfs")
DIGEST = "sha256:" + "1" * 64


def options(roots: Roots, driver: str = "overlay", *driver_options: str) -> StoreOptions:
    return StoreOptions(
        graph_root=str(roots.graph),
        run_root=str(roots.run),
        driver=driver,
        driver_options=driver_options,
    )


@pytest.fixture(params=DRIVERS)
def go(request: pytest.FixtureRequest, roots: Roots) -> GoTools:
    return GoTools(roots, driver=request.param, timeout=30)


@pytest.fixture
def store(go: GoTools) -> Iterator[Store]:
    with open_store(options(go.roots, go.driver)) as opened:
        yield opened


@pytest.fixture
def theirs(roots: Roots, go: GoTools) -> GoTools:
    """A second store, for the Go tools alone."""
    other = Roots(roots.graph.with_name("theirs"), roots.run.with_name("t"))
    return GoTools(other, driver=go.driver, timeout=30)


def made(text: str) -> str:
    return text.split(maxsplit=1)[0]


def words(text: str) -> list[str]:
    return text.split()


def test_the_same_verbs_write_the_same_records_and_data(
    go: GoTools, theirs: GoTools, store: Store, tmp_path: Path
) -> None:
    item = tmp_path / "item"
    item.write_bytes(b'{"a<b>": 1}')
    base = made(theirs.storage("create-layer", "-r", "-n", "base"))
    one = made(theirs.storage("create-image", "-n", "one", "-n", "uno", "-m", "<m>", base))
    two = made(theirs.storage("create-image", "-i", "f" * 64, "-d", DIGEST, "-n", "two"))
    for key in ("config", "tail-", "sha256:00"):
        theirs.storage("set-image-data", "-f", str(item), one, key)
    theirs.storage("set-names", "-n", "eins", "-n", "two", "-n", "one", "-n", "uno", one)
    theirs.storage("set-names", "-n", "zwei", "-n", "dos", two)
    theirs.storage("set-metadata", "-m", "new", one)

    store.layers.create(names=["base"], writable=False)
    mine = store.images.create(names=["one", "uno"], metadata="<m>", layer="base")
    store.images.create(id="f" * 64, digest=DIGEST, names=["two"])
    for key in ("config", "tail-", "sha256:00"):
        store.images.set_big_data("one", key, item.read_bytes())
    store.images.add_names("one", ["eins", "two"])
    store.images.set_names("f" * 64, ["zwei", "dos"])
    store.images.set_metadata("one", "new")

    assert samerecords.records(go.roots, go.driver) == samerecords.records(
        theirs.roots, theirs.driver
    )
    assert samerecords.data_files(go.roots, go.driver, "images", mine.id) == (
        samerecords.data_files(theirs.roots, theirs.driver, "images", one)
    )


def test_go_finds_an_image_of_ours_by_digest_and_reads_its_items(go: GoTools, store: Store) -> None:
    image = store.images.create(
        names=["img"], big_data=[("manifest", b"{}", None), ("sig", b"s" * 7, None)]
    )
    assert image.digest in go.storage("images-by-digest", "--json", image.digest)
    assert go.storage("get-image-data", "img", "sig") == "s" * 7
    assert go.storage("get-image-data-size", "img", "sig").strip() == "7"
    assert store.images.big_data_size("img", "sig") == 7
    digest = go.storage("get-image-data-digest", "img", "sig").strip()
    assert store.images.big_data_digest("img", "sig") == digest
    assert [found.id for found in store.images.by_digest(image.digest)] == [image.id]


def test_go_counts_the_mount_of_an_image_of_ours_and_ends_it(go: GoTools, store: Store) -> None:
    layer = store.layers.create(writable=False)
    Path(store.driver.diff_directory(layer.id), "file").write_text("x")
    store.images.create(names=["img"], layer=layer.id)
    place = Path(store.images.mount("img"))
    assert (place / "file").read_text() == "x"
    assert store.images.mount("img") == str(place)
    if go.driver == "overlay":
        with pytest.raises(OSError, match="Read-only"):
            (place / "other").write_text("y")
    mounted = go.storage("unmount", layer.id)
    assert "mounted" not in mounted or store.mounts.count(layer.id) == 1
    assert store.images.unmount("img") is True
    assert store.images.delete("img") == [layer.id]


def test_an_image_with_a_mapped_copy_goes_with_all_its_layers_in_either_tool(
    go_vfs: GoTools,
) -> None:
    go = go_vfs
    for deleted_by_go in (True, False):
        base = made(go.storage("create-layer", "-r"))
        image = made(go.storage("create-image", "-n", "img", base))
        container = made(
            go.storage("create-container", "--uidmap", "0:1000:10", "--gidmap", "0:1000:10", image)
        )
        with open_store(options(go.roots, "vfs")) as store:
            mapped = store.snapshot().images.by_id[image].mapped_layers
            assert len(mapped) == 1
            assert {i.id for i in store.images.by_top_layer(mapped[0])} == {image}
            store.containers.delete(container)
            assert list(store.images.delete("img", commit=False)) == [*mapped, base]
            assert len(store.snapshot().layers) == 2
            if deleted_by_go:
                go.storage("delete-image", "img")
            else:
                assert list(store.images.delete("img")) == [*mapped, base]
            assert len(store.snapshot().layers) == len(store.snapshot().images) == 0


@pytest.fixture
def shared(roots: Roots) -> Callable[[str], Roots]:
    """A store for others to read, made by the Go tool: an image with two names and items."""

    def make(driver: str) -> Roots:
        other = Roots(roots.graph.with_name("shared"), roots.run.with_name("s"))
        tool = GoTools(other, driver=driver, timeout=30)
        layer = made(tool.storage("create-layer", "-r"))
        image = made(tool.storage("create-image", "-i", "e" * 64, "-n", "a", "-n", "b", layer))
        item = other.graph / "item"
        item.write_bytes(b"manifest")
        tool.storage("set-image-data", "-f", str(item), image, "manifest")
        tool.storage("set-names", "-n", "c", "-n", "a", "-n", "b", image)
        if driver == "overlay":
            tool.shutdown()
        return other

    return make


@pytest.mark.parametrize("driver", DRIVERS)
def test_names_of_an_image_in_an_additional_store_pull_it_up_for_both_tools(
    roots: Roots, shared: Callable[[str], Roots], driver: str
) -> None:
    other = shared(driver)
    option = f"{driver}.imagestore={other.graph}"
    before = (other.graph / f"{driver}-images" / "images.json").stat()
    with open_store(options(roots, driver, option)) as store:
        with pytest.raises(ReadOnlyStoreError):
            store.images.set_metadata("a", "no")
        old = store.snapshot().images.by_name["a"]
        image = store.images.add_names("a", ["new"])
        kept = ("id", "digest", "layer", "created", "big_data_digests", "big_data_sizes")
        assert [getattr(image, name) for name in kept] == [getattr(old, name) for name in kept]
        assert image.names == ("new", "c", "a", "b")
        assert image.names_history == ("b", "a", "c", "new")
        go = GoTools(roots, driver=driver, timeout=30)
        opened = ("--storage-opt", option)
        assert go.storage(*opened, "get-image-data", "new", "manifest") == "manifest"
        assert words(go.storage(*opened, "get-names", "new")) == ["new", "c", "a", "b"]
        go.storage(*opened, "create-container", "-n", "theirs", "new")
        store.containers.create(image="new", names=["ours"])
        assert store.images.set_names("new", ["only"]).names == ("only",)
        assert store.snapshot().images.find("a") is None  # as in Go: the own record counts
    assert (other.graph / f"{driver}-images" / "images.json").stat() == before


@pytest.mark.parametrize("driver", DRIVERS)
def test_a_pulled_up_image_is_deleted_without_its_layers(
    roots: Roots, shared: Callable[[str], Roots], driver: str
) -> None:
    option = f"{driver}.imagestore={shared(driver).graph}"
    with open_store(options(roots, driver, option)) as store:
        with pytest.raises(ReadOnlyStoreError):
            store.images.delete("a")
        store.images.add_names("a", ["new"])
        assert store.images.delete("new") == []
        found = store.snapshot().images.find("a")
        assert found is not None
        assert found.read_only
        assert not os.path.exists(roots.graph / f"{driver}-images" / found.id)


@pytest.mark.parametrize("driver", DRIVERS)
def test_an_image_made_with_the_id_of_one_elsewhere_starts_from_that(
    roots: Roots, shared: Callable[[str], Roots], driver: str
) -> None:
    option = f"{driver}.imagestore={shared(driver).graph}"
    with open_store(options(roots, driver, option)) as store:
        old = store.snapshot().images.by_name["a"]
        image = store.images.create(id="e" * 64, names=["d"], metadata="meta")
        assert image.names == ("c", "a", "b", "d")
        assert image.names_history == ("d", "b", "a", "c")
        assert (image.metadata, image.created, image.digest) == ("meta", old.created, old.digest)
        assert (image.layer, image.read_only) == (None, False)
        assert store.images.big_data("d", "manifest") == b"manifest"
