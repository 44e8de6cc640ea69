"""Layers made of archives: ours in the hands of the Go tools, theirs in ours."""

import io
import json
import os
import re
import stat
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from backend import Store, StoreOptions, open_store
from drivers.archive.compression import Compression
from drivers.idmap.maps import IDMap
from drivers.protocol import ChangeKind
from tests.support import gochanges, treefacts
from tests.support.gotools import GoTools, Roots
from tests.support.layertars import BASE, PACKED, TOP, files_of, unpacked
from tests.support.ociimage import Entry, layer_tar

pytestmark = [pytest.mark.root, pytest.mark.overlay, pytest.mark.gotools]

ONE, TWO = "1" * 64, "2" * 64
MORE = layer_tar([Entry("more", b"more\n")])
MAP = (IDMap(0, 100000, 65536),)


@pytest.fixture(params=["overlay", "vfs"])
def go(request: pytest.FixtureRequest, roots: Roots) -> GoTools:
    return GoTools(roots, driver=request.param, timeout=30)


def options(go: GoTools) -> StoreOptions:
    return StoreOptions(
        graph_root=str(go.roots.graph), run_root=str(go.roots.run), driver=go.driver
    )


@pytest.fixture
def store(go: GoTools) -> Iterator[Store]:
    with open_store(options(go)) as opened:
        yield opened


def records(root: Path, driver: str) -> str:
    """The record file, as it is, but for the times."""
    text = (root / f"{driver}-layers" / "layers.json").read_text()
    return re.sub(r'"created":"[^"]*"', '"created":""', text)


def plain(store: Store, reference: str) -> bytes:
    with store.layers.diff(reference, compression=Compression.NONE) as archive:
        return b"".join(archive)


def tree(directory: Path) -> treefacts.Tree:
    """Facts of all files, without the times that no archive says: of the root, of whiteouts."""
    found = treefacts.of(directory)
    timeless = {path for path, fact in found.items() if fact.kind == stat.S_IFCHR} | {b"."}
    return {
        path: replace(fact, mtime_ns=0) if path in timeless else fact
        for path, fact in found.items()
    }


def put(store: Store, kind: int) -> None:
    """The same chain of two layers as :func:`import_chain`."""
    store.layers.put(io.BytesIO(PACKED[kind](BASE)), id=ONE, names=["base", "<&>"])
    store.layers.put(io.BytesIO(PACKED[kind](TOP)), id=TWO, names=["top"], parent="base")


def import_chain(go: GoTools, directory: Path, kind: int) -> None:
    files = directory / "base.tar", directory / "top.tar"
    for path, archive in zip(files, (BASE, TOP), strict=True):
        path.write_bytes(PACKED[kind](archive))
    names = ("-n", "base", "-n", "<&>")
    go.storage("import-layer", "-r", "-i", ONE, *names, "-f", str(files[0]))
    go.storage("import-layer", "-r", "-i", TWO, "-n", "top", "-f", str(files[1]), "base")


@pytest.mark.parametrize("kind", PACKED)
def test_the_same_import_makes_the_same_records(
    go: GoTools, store: Store, tmp_path: Path, kind: int
) -> None:
    put(store, kind)
    theirs = Roots(tmp_path / "theirs", tmp_path / "theirs-run")
    other = GoTools(theirs, driver=go.driver, timeout=30)
    try:
        import_chain(other, tmp_path, kind)
    finally:
        other.shutdown()
    assert records(go.roots.graph, go.driver) == records(theirs.graph, go.driver)


def test_go_gives_back_and_mounts_what_we_put(go: GoTools, store: Store) -> None:
    put(store, 2)
    for reference, archive in (("base", BASE), ("top", TOP)):
        assert go.run("containers-storage", "diff", "-u", reference).stdout == archive
    letters = {ChangeKind.MODIFY: "C", ChangeKind.ADD: "A", ChangeKind.DELETE: "D"}
    changes = {(letters[change.kind], change.path) for change in store.layers.changes("top")}
    assert changes == gochanges.parse(go.storage("changes", TWO))
    size = go.storage("diffsize", "top").strip()
    assert size.endswith(str(store.layers.diff_size("top")))
    image = go.storage("create-image", TWO).split()[0]
    container = go.storage("create-container", image).split()[0]
    mounted = Path(go.storage("mount", container).split()[0])
    view = store.driver.open_merged(store.snapshot().containers.by_id[container].layer)
    try:
        assert unpacked(mounted) == unpacked(f"/proc/self/fd/{view}/.")
        assert "etc/motd" not in unpacked(mounted)
    finally:
        os.close(view)
        go.storage("unmount", container)
    go.storage("delete-container", container)
    go.storage("delete-image", image)
    assert store.snapshot().layers.records == ()


def test_we_give_back_what_go_imported(go: GoTools, store: Store, tmp_path: Path) -> None:
    import_chain(go, tmp_path, 2)
    assert plain(store, "base") == BASE
    assert plain(store, "top") == TOP
    found = store.layers.by_uncompressed_digest(store.layers.find("base").diff_digest)
    assert [layer.id for layer in found] == [ONE]


def test_both_lay_the_same_files_on_disk(go: GoTools, store: Store, tmp_path: Path) -> None:
    put(store, 0)
    theirs = Roots(tmp_path / "theirs", tmp_path / "theirs-run")
    other = GoTools(theirs, driver=go.driver, timeout=30)
    try:
        import_chain(other, tmp_path, 0)
    finally:
        other.shutdown()
    for layer in (ONE, TWO):
        ours = Path(store.driver.diff_directory(layer))
        there = theirs.graph / ours.relative_to(go.roots.graph)
        assert treefacts.differences(tree(ours), tree(there)) == []


def test_an_archive_applied_by_either_is_read_by_the_other(
    go: GoTools, store: Store, tmp_path: Path
) -> None:
    (tmp_path / "tar").write_bytes(PACKED[2](BASE))
    ours = store.layers.create(names=["ours"])
    go.storage("applydiff", "-f", str(tmp_path / "tar"), ours.id)
    assert plain(store, "ours") == BASE
    theirs = go.storage("create-layer", "-n", "theirs").split()[0]
    applied = store.layers.apply_diff(theirs, io.BytesIO(PACKED[2](BASE)))
    assert go.run("containers-storage", "diff", "-u", theirs).stdout == BASE
    first = store.layers.find("ours")
    assert applied._replace(id=first.id, names=first.names, created=first.created) == first
    store.layers.apply_diff("ours", io.BytesIO(MORE))
    assert go.run("containers-storage", "diff", "-u", "ours").stdout == MORE


def test_overlay_records_no_ids_on_either_side_and_undoes_those_that_it_finds(
    roots: Roots, tmp_path: Path
) -> None:
    maps = ("--uidmap", "0:100000:65536", "--gidmap", "0:100000:65536")
    (tmp_path / "tar").write_bytes(BASE)
    go = GoTools(roots, timeout=30)
    go.storage("import-layer", "-i", ONE, *maps, "-f", str(tmp_path / "tar"))
    elsewhere = Roots(roots.graph, tmp_path / "run")  # where Go notes that the kernel cannot
    (elsewhere.run / "overlay").mkdir(parents=True)
    (elsewhere.run / "overlay" / "idmapped-lower-dir-false").touch()
    owning = GoTools(elsewhere, timeout=30)
    owning.storage("import-layer", "-i", TWO, *maps, "-f", str(tmp_path / "tar"))
    with open_store(options(go)) as store:
        assert [layer.uid_map for layer in store.snapshot().layers] == [(), MAP]
        assert store.layers.put(io.BytesIO(BASE), uid_map=MAP, gid_map=MAP).uid_map == ()
        child = store.layers.put(io.BytesIO(TOP), parent=TWO)
        assert child.uid_map == ()
        view = store.driver.open_merged(child.id)
        try:
            assert os.stat(f"/proc/self/fd/{view}/etc/passwd").st_uid == 0
        finally:
            os.close(view)
        assert go.run("containers-storage", "diff", "-u", child.id).stdout == TOP


def test_layers_for_other_ids_are_recorded_and_owned_alike(roots: Roots, tmp_path: Path) -> None:
    go = GoTools(roots, driver="vfs", timeout=30)
    with open_store(options(go)) as store:
        check_owned_alike(go, store, tmp_path)


def check_owned_alike(go: GoTools, store: Store, tmp_path: Path) -> None:
    (tmp_path / "tar").write_bytes(BASE)
    maps = ("--uidmap", "0:100000:65536", "--gidmap", "0:100000:65536")
    go.storage("import-layer", "-i", ONE, *maps, "-f", str(tmp_path / "tar"))
    store.layers.put(io.BytesIO(BASE), id=TWO, uid_map=MAP, gid_map=MAP)
    one, two = store.layers.find(ONE), store.layers.find(TWO)
    assert (one.uid_map, one.gid_map) == (two.uid_map, two.gid_map) == (MAP, MAP)
    theirs, ours = (Path(store.driver.diff_directory(layer)) for layer in (ONE, TWO))
    assert treefacts.differences(tree(ours), tree(theirs)) == []
    assert (ours / "etc/motd").stat().st_uid == 100000
    child = store.layers.put(io.BytesIO(TOP), parent=TWO)
    assert child.uid_map == MAP
    for layer in (TWO, child.id):
        assert plain(store, layer) == (BASE if layer == TWO else TOP)
        archive = go.run("containers-storage", "diff", "-u", layer).stdout
        assert archive == plain(store, layer)
    host = store.layers.put(
        io.BytesIO(TOP), parent=TWO, host_uid_mapping=True, host_gid_mapping=True
    )
    assert (host.uid_map, host.gid_map) == ((), ())
    assert Path(store.driver.diff_directory(host.id), "etc/passwd").stat().st_uid == 0
    assert plain(store, host.id) == TOP
    listed = json.loads(go.storage("layer", "--json", child.id))
    assert listed[0]["uidmap"] == [{"container_id": 0, "host_id": 100000, "size": 65536}]


def test_both_kinds_of_tools_make_and_delete_layers_at_once(
    go: GoTools, store: Store, tmp_path: Path
) -> None:
    (tmp_path / "tar").write_bytes(BASE)
    store.layers.put(io.BytesIO(BASE), names=["base"])

    def ours(number: int) -> None:
        for turn in range(3):
            layer = store.layers.put(io.BytesIO(TOP), parent="base", names=[f"o{number}-{turn}"])
            assert plain(store, layer.id) == TOP
            if turn:
                store.layers.delete(layer.id)

    def theirs(number: int) -> None:
        for turn in range(3):
            name = f"t{number}-{turn}"
            go.storage("import-layer", "-r", "-n", name, "-f", str(tmp_path / "tar"))
            if turn:
                go.storage("delete-layer", name)

    with ThreadPoolExecutor(4) as pool:
        for job in [pool.submit(work, n) for n in range(2) for work in (ours, theirs)]:
            job.result()
    snapshot = store.snapshot()
    names = {layer.names[0] for layer in snapshot.layers}
    assert names == {"base", "o0-0", "o1-0", "t0-0", "t1-0"}
    assert snapshot.problems == ()
    assert set(store.layers.driver_layers()) == set(snapshot.layers.by_id)
    left = [path for path in files_of(go.roots.graph) if "temp" in path or ".tmp" in path]
    assert left == []
