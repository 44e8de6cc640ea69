"""Containers: the same records as the Go tools', and the same owners of files under ID maps."""

import os
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from backend import InvalidValueError, NotMountedError, Store, StoreOptions, open_store
from drivers.errors import DriverNotSupportedError
from drivers.idmap.maps import IDMap
from tests.support import samerecords
from tests.support.gotools import GoTools, Roots

pytestmark = [pytest.mark.root, pytest.mark.overlay, pytest.mark.gotools]

UIDS, GIDS = (IDMap(0, 100_000, 65536),), (IDMap(0, 200_000, 65536),)
MAP_FLAGS = ("--uidmap", "0:100000:65536", "--gidmap", "0:200000:65536")
WAYS = ("overlay", "overlay without shifting", "vfs")


def made(text: str) -> str:
    return text.split(maxsplit=1)[0]


def prepared(roots: Roots, way: str) -> GoTools:
    """The Go tool; both tools believe what the run root remembers of the kernel's powers."""
    driver = way.split(maxsplit=1)[0]
    if way != driver:
        (roots.run / "overlay").mkdir(parents=True)
        (roots.run / "overlay" / "idmapped-lower-dir-false").touch()
    return GoTools(roots, driver=driver, timeout=30)


def opened(go: GoTools, **more: object) -> Store:
    graph, run = str(go.roots.graph), str(go.roots.run)
    return open_store(StoreOptions(graph, run, driver=go.driver)._replace(**more))


@pytest.fixture(params=WAYS)
def go(request: pytest.FixtureRequest, roots: Roots) -> GoTools:
    return prepared(roots, request.param)


@pytest.fixture
def theirs(request: pytest.FixtureRequest, roots: Roots, go: GoTools) -> GoTools:
    """A second store, for the Go tools alone."""
    other = Roots(roots.graph.with_name("theirs"), roots.run.with_name("t"))
    return prepared(other, request.node.callspec.params["go"])


@pytest.fixture
def store(go: GoTools) -> Iterator[Store]:
    with opened(go) as store:
        yield store


def fill(base: Path) -> None:
    """A file of each of two owners, a link, a directory."""
    base.chmod(0o755)
    (base / "file").write_text("x")
    os.chown(base / "file", 5, 6)
    (base / "dir").mkdir()
    os.chown(base / "dir", 7, 8)
    (base / "dir" / "link").symlink_to("nowhere")
    os.lchown(base / "dir" / "link", 9, 10)


def make_image(store: Store) -> str:
    store.layers.create(names=["base"], writable=False)
    fill(Path(store.driver.diff_directory(store.layers.find("base").id)))
    store.layers.create(names=["top"], parent="base", writable=False)
    return store.images.create(names=["img"], layer="top").id


def make_their_image(go: GoTools) -> str:
    base = made(go.storage("create-layer", "-r", "-n", "base"))
    fill(Path(go.storage("mount", base).strip()))
    go.storage("unmount", base)
    go.storage("create-layer", "-r", "-n", "top", "base")
    return made(go.storage("create-image", "-n", "img", "top"))


def owners(root: str) -> dict[str, tuple[int, int]]:
    """Of all that is in it; the root itself is left to who runs a container."""
    found = {}
    for directory, names, files in os.walk(root):
        for name in (*names, *files):
            path = os.path.join(directory, name)
            found[os.path.relpath(path, root)] = os.lstat(path)
    return {path: (status.st_uid, status.st_gid) for path, status in found.items()}


MAPPED = {"file": (100_005, 200_006), "dir": (100_007, 200_008), "dir/link": (100_009, 200_010)}


def test_the_same_verbs_write_the_same_records(go: GoTools, theirs: GoTools, store: Store) -> None:
    make_their_image(theirs)
    theirs.storage("create-container", "-n", "plain", "-n", "p", "-m", "<meta>", "img")
    theirs.storage("create-container", "-n", "mapped", *MAP_FLAGS, "img")
    theirs.storage("create-container", "-n", "again", *MAP_FLAGS, "img")
    theirs.storage(
        "create-container", "-n", "other", "--uidmap", "0:1:10", "--gidmap", "0:1:10", ""
    )
    theirs.storage("set-container-data", "-f", "/etc/hostname", "plain", "k-1")

    make_image(store)
    store.containers.create(names=["plain", "p"], metadata="<meta>", image="img")
    store.containers.create(names=["mapped"], image="img", uid_map=UIDS, gid_map=GIDS)
    store.containers.create(names=["again"], image="img", uid_map=UIDS, gid_map=GIDS)
    few = (IDMap(0, 1, 10),)
    store.containers.create(names=["other"], uid_map=few, gid_map=few)
    store.containers.set_big_data("plain", "k-1", Path("/etc/hostname").read_bytes())

    assert samerecords.records(go.roots, go.driver) == samerecords.records(
        theirs.roots, theirs.driver
    )


def test_our_mapped_container_has_the_owners_of_theirs_in_either_tool(
    go: GoTools, theirs: GoTools, store: Store
) -> None:
    make_their_image(theirs)
    theirs.storage("create-container", "-n", "c", *MAP_FLAGS, "img")
    assert owners(theirs.storage("mount", "c").strip()) == MAPPED
    make_image(store)
    store.containers.create(names=["c"], image="img", uid_map=UIDS, gid_map=GIDS)
    store.containers.create(names=["plain"], image="img")
    assert owners(go.storage("mount", "c").strip()) == MAPPED
    go.storage("unmount", "c")
    assert owners(store.mounts.mount("c")) == MAPPED
    store.mounts.unmount("c")
    assert owners(store.mounts.mount("plain"))["file"] == (5, 6)
    store.mounts.unmount("plain")
    go.storage("delete-container", "c")
    store.containers.delete("plain")
    layers = {layer.id for layer in store.snapshot().layers}
    assert set(store.images.delete("img")) == layers
    assert list(store.driver.list_layers()) == []


def test_go_s_mapped_container_has_the_same_owners_with_us(go: GoTools, store: Store) -> None:
    make_their_image(go)
    go.storage("create-container", "-n", "c", *MAP_FLAGS, "img")
    before = len(store.snapshot().layers)
    store.containers.create(names=["second"], image="img", uid_map=UIDS, gid_map=GIDS)
    assert len(store.snapshot().layers) == before + 1  # the mapped copy that is there is taken
    for name in ("c", "second"):
        assert owners(store.mounts.mount(name)) == MAPPED
        store.mounts.unmount(name)


@pytest.mark.parametrize("way", ["overlay", "vfs"])
def test_every_option_of_a_container_is_recorded_for_go(roots: Roots, way: str) -> None:
    go = prepared(roots, way)
    with opened(go) as store:
        container = store.containers.create(
            id="c" * 64,
            layer_id="d" * 64,
            names=["c", "c", "d"],
            flags={"mine": [1]},
            mount_options=["nodev"],
            process_label="p",
            mount_label="m",
            big_data=[("one", b"1"), ("two-", b"22")],
        )
        assert go.storage("list-container-data", "c").split() == ["one", "two-"]
        assert go.storage("get-container-data", "d", "two-") == "22"
        assert go.storage("get-container-data-digest", "c", "one").strip() == (
            store.containers.big_data_digest("c", "one")
        )
        directory = go.storage("get-container-dir", "c").strip()
        assert store.containers.directory("c") == directory
        running = go.storage("get-container-run-dir", "c").strip()
        assert store.containers.run_directory("c") == running
        Path(directory, "file").write_bytes(b"333")
        assert store.containers.size("c") == 1 + 2 + 3
        assert store.containers.parent_owners("c") == ((), ())
        go.storage("set-container-data", "-f", "/dev/null", "c", "three")
    digests = {"one": container.big_data_digests["one"], "two-": container.big_data_digests["two-"]}
    [record] = samerecords.decoded(roots, way, "containers")
    assert list(record) == [
        "id", "names", "image", "layer", "big-data-names", "big-data-sizes", "big-data-digests",
        "created", "flags",
    ]  # fmt: skip
    assert (record["id"], record["names"], record["layer"]) == ("c" * 64, ["c", "d"], "d" * 64)
    assert record["big-data-digests"] == {**digests, "three": record["big-data-digests"]["three"]}
    assert record["flags"] == {
        "MountLabel": "m",
        "MountOpts": ["nodev"],
        "ProcessLabel": "p",
        "mine": [1],
    }


@pytest.mark.parametrize("way", ["overlay", "vfs"])
def test_host_maps_win_over_maps_that_are_given_as_in_go(roots: Roots, way: str) -> None:
    go = prepared(roots, way)
    theirs = prepared(Roots(roots.graph.with_name("theirs"), roots.run.with_name("t")), way)
    make_their_image(theirs)
    theirs.storage("create-container", "--hostuidmap", "--gidmap", "0:7:70", "img")
    theirs.storage("create-container", "--hostuidmap", "--hostgidmap", "img")
    with opened(go) as store:
        make_image(store)
        group = (IDMap(0, 7, 70),)
        store.containers.create(image="img", uid_map=UIDS, gid_map=group, host_uid_mapping=True)
        store.containers.create(
            image="img", uid_map=UIDS, gid_map=GIDS, host_uid_mapping=True, host_gid_mapping=True
        )
    ours = samerecords.records(go.roots, way)
    assert ours == samerecords.records(theirs.roots, way)


def test_what_cannot_be_is_refused_and_changes_nothing(roots: Roots) -> None:
    with opened(prepared(roots, "vfs")) as store:
        make_image(store)
        before = samerecords.records(roots, "vfs")
        overlapping = (IDMap(0, 100, 10), IDMap(10, 105, 10))
        with pytest.raises(InvalidValueError, match="overlaps"):
            store.containers.create(image="img", uid_map=overlapping, gid_map=GIDS)
        with pytest.raises(DriverNotSupportedError, match=r"quota.*size"):
            store.containers.create(image="img", storage_opt={"size": "1G"})
        with pytest.raises(InvalidValueError, match="label"):
            store.containers.create(image="img", process_label="p")
        with pytest.raises(InvalidValueError, match="rw"):
            store.images.mount("img", ["rw"])
        assert samerecords.records(roots, "vfs") == before
        assert os.listdir(roots.graph / "vfs-containers") == ["containers.lock"]


def test_owners_of_the_directories_above_are_those_that_go_finds(roots: Roots) -> None:
    go = prepared(roots, "vfs")
    with opened(go) as store:
        make_image(store)
        few = (IDMap(0, 0, 3),)  # root is known inside, user 7 is not
        store.containers.create(names=["few"], image="img", uid_map=few, gid_map=GIDS)
        store.containers.create(names=["none"], image="img")
        assert store.containers.parent_owners("none") == ((), ())
        with pytest.raises(NotMountedError):
            store.containers.parent_owners("few")
        store.mounts.mount("few")
        os.chown(roots.graph.parent, 7, 8)
        ours = store.containers.parent_owners("few")
        shown = go.storage("container-parent-owners", "few")
        _, _, lists = shown.partition("\n")
        numbers = {int(word) for word in re.findall(r"\d+", lists)}
        assert ours.uids == (7,)
        assert {0, 8} <= set(ours.gids)
        assert numbers == {*ours.uids, *ours.gids}


def test_containers_made_at_the_same_time_share_one_mapped_copy(roots: Roots) -> None:
    go = prepared(roots, "vfs")
    with opened(go) as store:
        make_image(store)

    def ours() -> None:
        with opened(go) as store:
            for _ in range(4):
                made = store.containers.create(image="img", uid_map=UIDS, gid_map=GIDS)
                store.containers.delete(made.id)

    def theirs() -> None:
        for _ in range(4):
            go.storage("delete-container", made(go.storage("create-container", *MAP_FLAGS, "img")))

    with ThreadPoolExecutor() as pool:
        for done in [pool.submit(work) for work in (ours, theirs, ours, theirs)]:
            done.result(60)
    [image] = samerecords.decoded(roots, "vfs", "images")
    assert len(image["mapped-layers"]) == 1
    assert len(samerecords.decoded(roots, "vfs", "layers")) == 3
