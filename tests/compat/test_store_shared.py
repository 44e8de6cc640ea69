"""One store, two kinds of tools: what the Go tools make we read, what we make they use."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from backend import (
    ImageInUseError,
    LayerHasChildrenError,
    LayerInUseError,
    LockTimeoutError,
    MountedError,
    NotMountedError,
    Store,
    StoreOptions,
    open_store,
)
from drivers.errors import DriverNotSupportedError
from drivers.ids import LayerID
from tests.support import recordcheck
from tests.support.gotools import GoTools, Roots

pytestmark = [pytest.mark.root, pytest.mark.overlay, pytest.mark.gotools]


@pytest.fixture(params=["overlay", "vfs"])
def go(request: pytest.FixtureRequest, roots: Roots) -> GoTools:
    return GoTools(roots, driver=request.param, timeout=30)


def options(go: GoTools, **more: Any) -> StoreOptions:
    return StoreOptions(
        graph_root=str(go.roots.graph), run_root=str(go.roots.run), driver=go.driver, **more
    )


@pytest.fixture
def store(go: GoTools) -> Iterator[Store]:
    with open_store(options(go)) as opened:
        yield opened


def problems(go: GoTools) -> list[str]:
    """What is wrong with a store that nobody uses any more."""
    found = recordcheck.problems(go)
    if go.driver != "vfs":
        return found
    return [text for text in found if not text.endswith("has no directory")]


def words(text: str) -> list[str]:
    return text.split()


def test_what_go_makes_is_read_with_every_look_up(go: GoTools, store: Store) -> None:
    base = words(go.storage("create-layer", "-n", "base"))[0]
    image = words(go.storage("create-image", "-n", "img:1", "-m", "<m>", base))[0]
    container = words(go.storage("create-container", "-n", "c1", image))[0]
    snapshot = store.snapshot()
    layer = snapshot.layers.find("base")
    assert layer is not None
    assert layer.id == base
    found = snapshot.images.find(image[:8])
    assert found is not None
    assert (found.names, found.metadata, found.layer) == (("img:1",), "<m>", base)
    made = snapshot.containers.find("c1")
    assert made is not None
    assert (made.id, made.image) == (container, image)
    assert snapshot.containers.find(made.layer) is made
    assert snapshot.layers.chain(made.layer)[1] is layer
    assert snapshot.containers.of_image(image) == [container]


def test_what_we_make_is_listed_named_mounted_and_deleted_by_go(
    go: GoTools, store: Store, tmp_path: Path
) -> None:
    base = store.layers.create(names=["base"], writable=False)
    top = store.layers.create(parent="base", writable=False, big_data=[("a-key", b"item")])
    image = store.images.create(
        names=["localhost/img:1"],
        layer=top.id,
        big_data=[("manifest", b"{}", None), ("sha256:00", b"config", None)],
    )
    container = store.containers.create(names=["c1"], image="localhost/img:1", metadata="m")
    assert {layer["id"] for layer in go.storage_json("layers", "--json")} == {
        base.id,
        top.id,
        container.layer,
    }
    assert go.storage("get-image-data", image.id, "manifest") == "{}"
    assert go.storage("get-layer-data", top.id, "a-key") == "item"
    go.storage("add-names", "-n", "c2", "c1")
    assert store.snapshot().containers.find("c2")
    where = Path(words(go.storage("mount", "c2"))[0])
    (where / "file").write_text("x")
    assert store.mounts.count("c1") == 1
    assert [change.path for change in store.layers.changes(container.layer)] == [b"/file"]
    go.storage("unmount", "c1")
    go.storage("delete-container", "c1")
    go.storage("delete-image", "localhost/img:1")
    assert store.snapshot().layers.records == store.snapshot().containers.records == ()
    assert problems(go) == []


def test_podman_and_buildah_see_what_we_do_to_their_image(roots: Roots) -> None:
    go = GoTools(roots, timeout=60)
    working = go.buildah("from", "--name", "working", "scratch")
    Path(go.buildah("mount", working), "hello").write_text("hello")
    go.buildah("commit", "-q", working, "localhost/img:1")
    with open_store(options(go)) as store:
        layer = store.snapshot().containers.by_name["working"].layer
        assert [change.path for change in store.layers.changes(layer)] == [b"/hello"]
        store.images.add_names("localhost/img:1", ["localhost/other:2"])
        listed = json.loads(go.podman("images", "--format", "json"))
        names = {name for entry in listed for name in entry["Names"]}
        assert names == {"localhost/img:1", "localhost/other:2"}
        store.containers.create(names=["web"], image="localhost/other:2")
        ps = go.podman("ps", "-a", "--external", "--format", "{{.Names}}")
        assert sorted(words(ps)) == ["web", "working"]
        made = go.podman("create", "--name", "pod", "--network=none", "other:2", "/hello")
        assert store.snapshot().containers.by_name["pod"].id == made
        where = Path(go.podman("mount", "pod"))
        assert where.joinpath("hello").read_text() == "hello"
        go.podman("umount", "pod")
        go.podman("rm", "pod")
        go.buildah("rm", "working")
        with pytest.raises(ImageInUseError):
            store.images.delete("localhost/img:1")
        store.containers.delete("web")
        store.images.delete("localhost/img:1")
        assert go.podman("images", "-q", "-a") == ""
    assert problems(go) == []


def test_mounts_are_counted_together(go: GoTools, store: Store) -> None:
    store.containers.create(names=["c"])
    where = store.mounts.mount("c")
    assert words(go.storage("mount", "c")) == [where]
    assert store.mounts.count("c") == 2
    go.storage("unmount", "c")
    Path(where, "file").write_text("still here")
    with pytest.raises(MountedError):
        store.containers.delete("c")
    assert store.mounts.unmount("c") is True
    assert store.mounts.count("c") == 0
    with pytest.raises(NotMountedError):
        store.mounts.unmount("c")
    store.containers.delete("c")
    assert problems(go) == []


def test_a_count_that_the_kernel_contradicts_starts_again(roots: Roots) -> None:
    go = GoTools(roots, timeout=30)
    with open_store(options(go)) as store:
        store.containers.create(names=["c"])
        where = store.mounts.mount("c")
        store.mounts.mount("c")
        subprocess.run(["umount", where], check=True, timeout=10)
        assert store.mounts.count("c") == 0
        assert store.mounts.mount("c") == where
        assert recordcheck.mount_counts(go) == {store.cached().containers.find("c").layer: 1}
        store.containers.delete("c", force=True)
    assert problems(go) == []


def test_counts_of_a_dead_process_are_given_back(go: GoTools, store: Store) -> None:
    layer = store.containers.create(names=["c"]).layer
    seen: list[tuple[LayerID, int]] = []
    store.mounts.mount("c", on_count=lambda who, before: seen.append((who, before)))
    store.mounts.mount("c", on_count=lambda who, before: seen.append((who, before)))
    assert seen == [(layer, 0), (layer, 1)]
    store.mounts.repair({layer: 1, LayerID("unknown"): 3})
    assert store.mounts.count("c") == 1
    store.mounts.repair({layer: 5})
    assert store.mounts.count("c") == 0
    assert problems(go) == []


def test_what_is_in_use_stays(store: Store) -> None:
    base = store.layers.create(names=["base"], writable=False)
    store.layers.create(parent=base.id, names=["top"], writable=False)
    with pytest.raises(LayerHasChildrenError):
        store.layers.delete("base")
    store.images.create(names=["i"], layer="top")
    with pytest.raises(LayerInUseError, match="image"):
        store.layers.delete("top")
    container = store.containers.create(names=["c"], image="i")
    with pytest.raises(LayerInUseError, match="container"):
        store.layers.delete(container.layer)
    with pytest.raises(ImageInUseError):
        store.images.delete("i")
    store.containers.delete("c")
    assert len(store.images.delete("i")) == 2
    assert store.snapshot().layers.records == ()


def test_layers_that_something_else_needs_stay_when_an_image_goes(store: Store) -> None:
    base = store.layers.create(writable=False)
    top = store.layers.create(parent=base.id, writable=False)
    store.images.create(names=["small"], layer=base.id)
    store.images.create(names=["large"], layer=top.id)
    assert store.images.delete("large") == [top.id]
    assert [layer.id for layer in store.snapshot().layers] == [base.id]
    assert store.images.delete("small") == [base.id]


def test_an_image_whose_layer_is_gone_can_be_deleted(go: GoTools, store: Store) -> None:
    layer = store.layers.create(writable=False)
    store.images.create(names=["i"], layer=layer.id)
    records = go.roots.graph / f"{go.driver}-layers" / "layers.json"
    records.write_text("[]")
    assert store.images.delete("i") == []
    assert store.snapshot().images.records == ()


def test_names_move_and_the_history_begins_with_the_newest(go: GoTools, store: Store) -> None:
    first = store.images.create(names=["a", "b", "a"])
    second = store.images.create(names=["c"])
    assert first.names == ("a", "b")
    moved = store.images.set_names(second.id, ["b", "x", "b"])
    assert (moved.names, moved.names_history) == (("b", "x"), ("x", "b"))
    assert words(go.storage("get-names", first.id)) == ["a"]
    assert store.images.add_names("x", ["y"]).names == ("y", "b", "x")
    assert store.images.remove_names("x", ["b", "unknown"]).names == ("y", "x")
    assert words(go.storage("get-names", second.id)) == ["y", "x"]


def test_tokens_and_files_tell_either_side_of_every_change(go: GoTools, store: Store) -> None:
    with open_store(options(go)) as other:
        for number in range(3):
            name = words(go.storage("create-layer", "-n", f"go{number}"))[0]
            assert store.snapshot().layers.get(name)
            ours = store.layers.create(names=[f"ours{number}"])
            assert other.snapshot().layers.find(f"ours{number}") == ours
            assert words(go.storage("get-names", ours.id)) == [f"ours{number}"]


def test_a_waiting_go_tool_sees_what_we_did_meanwhile(go: GoTools, store: Store) -> None:
    from backend.stores.transaction import Kind, writing

    store.layers.create(names=["a"])
    with writing(store.stores, Kind.LAYERS) as tx:
        command = go.command("containers-storage", "layers", "--json")
        process = subprocess.Popen(command, stdout=subprocess.PIPE)
        time.sleep(0.2)
        assert process.poll() is None
        (layer,) = tx.layers.table
        tx.layers.rename(layer, ["renamed"])
        tx.layers.save()
    output, _ = process.communicate(timeout=20)
    assert [entry["names"] for entry in json.loads(output)] == [["renamed"]]


def test_a_go_tool_that_holds_the_lock_is_waited_for_and_named(go: GoTools, store: Store) -> None:
    fifo = go.roots.graph.parent / "slow.tar"
    subprocess.run(["mkfifo", fifo], check=True)
    store.layers.create(names=["a"], writable=False)
    hurried = open_store(options(go, lock_timeout=0.2))
    command = go.command("containers-storage", "applydiff", "--file", str(fifo), "a")
    process = subprocess.Popen(command)
    with hurried, fifo.open("wb") as feed:
        while not recordcheck.held(go.roots.graph / f"{go.driver}-layers" / "layers.lock"):
            time.sleep(0.01)
        with pytest.raises(LockTimeoutError, match=str(process.pid)):
            hurried.snapshot()
        feed.write(bytes(10240))
    process.communicate(timeout=20)
    assert store.snapshot().layers.find("a")


_CHURN = """
import sys
from backend import StoreOptions, open_store
graph, run, driver, name, end = sys.argv[1:]
import time
made = 0
with open_store(StoreOptions(graph_root=graph, run_root=run, driver=driver)) as store:
    while time.time() < float(end):
        store.containers.create(names=[f"{name}-keep-{made}"])
        store.containers.create(names=[f"{name}-drop"])
        store.mounts.mount(f"{name}-drop")
        store.mounts.unmount(f"{name}-drop")
        store.containers.delete(f"{name}-drop")
        made += 1
print(made)
"""


def test_two_of_us_and_the_go_tool_lose_nothing_in_a_busy_store(go: GoTools, store: Store) -> None:
    end = time.time() + 3
    roots = (str(go.roots.graph), str(go.roots.run))

    def ours(name: str) -> int:
        command = [sys.executable, "-c", _CHURN, *roots, go.driver, name, str(end)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
        return int(done.stdout)

    def theirs() -> int:
        made = 0
        while time.time() < end:
            go.storage("create-container", "-n", f"go-keep-{made}", "")
            dropped = words(go.storage("create-container", ""))[0]
            go.storage("mount", dropped)
            go.storage("unmount", dropped)
            go.storage("delete-container", dropped)
            made += 1
        return made

    with ThreadPoolExecutor(3) as pool:
        workers = {"one": pool.submit(ours, "one"), "two": pool.submit(ours, "two")}
        workers["go"] = pool.submit(theirs)
        expected = {
            f"{name}-keep-{number}"
            for name, worker in workers.items()
            for number in range(worker.result())
        }
    snapshot = store.snapshot()
    assert {name for container in snapshot.containers for name in container.names} == expected
    assert len(snapshot.layers) == len(expected) > 3
    assert problems(go) == []


def test_a_container_is_never_mounted_under_other_ids_than_its_own(
    go: GoTools, store: Store
) -> None:
    base = words(go.storage("create-layer"))[0]
    image = words(go.storage("create-image", base))[0]
    maps = ("--uidmap", "0:100000:65536", "--gidmap", "0:100000:65536")
    container = words(go.storage("create-container", *maps, image))[0]
    layer = store.layers.find(store.containers.find(container).layer)
    assert store.mounts.mount(container)
    assert store.mounts.unmount(container)
    if not layer.uid_map:  # shifted by each mount, which the driver can be told not to do
        with open_store(options(go, id_shifting=False)) as unshifted:
            with pytest.raises(DriverNotSupportedError, match="other IDs"):
                unshifted.mounts.mount(container)
            assert unshifted.mounts.count(container) == 0
