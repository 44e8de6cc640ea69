"""What a check says of stores that tools made, of damage seeded one by one, and what repairs do."""

import io
import os
import shutil
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from backend import Store, open_store
from backend.api.objects import Objects
from backend.errors import MountedError
from backend.model.findings import Action, Depth, Fault, Report
from backend.model.records import Image, Layer
from drivers.protocol import DedupMethod
from tests.support import debian, mounttable, smallstore
from tests.support.gotools import GoTools, Roots
from tests.support.ociimage import Entry, write_layout
from tests.support.tars import archive

pytestmark = [pytest.mark.root, pytest.mark.overlay]

DRIVERS = ("overlay", "vfs")
LAYERS = (
    [
        Entry("etc"),
        Entry("etc/a", b"a" * 5000),
        Entry("etc/gone", b"x"),
        Entry("hidden"),
        Entry("hidden/old", b"o"),
        Entry("bin/x", link="/etc/a"),
        Entry("set", b"s", mode=0o4755),
    ],
    [
        Entry("etc/b", b"b" * 3000),
        Entry("etc/.wh.gone", b""),
        Entry("hidden/.wh..wh..opq", b""),
        Entry("hidden/new", b"n"),
    ],
)


@pytest.fixture(params=DRIVERS)
def store(request: pytest.FixtureRequest, roots: Roots, tmp_path: Path) -> Iterator[Store]:
    """One image of two layers and a container, on each driver."""
    write_layout(tmp_path / "oci", LAYERS)
    with open_store(smallstore.options(roots, request.param)) as store:
        (image,) = store.import_images(str(tmp_path / "oci"), names=("image",))
        store.containers.create(names=("web",), image=image.id)
        yield store


def chain(store: Store) -> tuple[Layer, Layer]:
    """The lower and the upper layer of the image."""
    top = store.snapshot().images.records[0].layer
    upper, lower = store.snapshot().layers.chain(str(top))
    return lower, upper


def content(store: Store, layer: Layer) -> Path:
    return Path(store.driver.diff_directory(layer.id))


def faults(report: Report) -> set[tuple[Fault, str]]:
    """Faults with the object's kind, notes left out."""
    return {(f.fault, f.kind) for f in report.findings if not f.is_note}


@pytest.mark.parametrize("depth", Depth)
def test_a_store_that_we_made_is_sound(store: Store, depth: Depth) -> None:
    report = store.check(depth)
    assert report.findings == ()
    assert report.checked == {"layers": 3, "images": 1, "containers": 1}


@pytest.mark.gotools
@pytest.mark.debian_image
def test_a_store_of_buildah_and_skopeo_is_sound_beside_its_mounts(debian_roots: Roots) -> None:
    go = GoTools(debian_roots)
    container = go.buildah("from", "--pull-never", debian.IMAGE)
    go.buildah("mount", container)
    before = mounttable.below(debian_roots.graph)
    with open_store(smallstore.options(debian_roots)) as store:
        report = store.check(Depth.FILES)
    assert [f for f in report.findings if f.fault is not Fault.MOUNT_COUNT] == []
    assert mounttable.below(debian_roots.graph) == before, "a check touches no mount"
    go.buildah("rm", container)


@pytest.mark.gotools
@pytest.mark.parametrize("driver", DRIVERS)
def test_a_store_of_the_go_tools_is_sound(driver: str, roots: Roots, tmp_path: Path) -> None:
    write_layout(tmp_path / "oci", LAYERS)
    go = GoTools(roots, driver)
    go.skopeo("copy", "-q", f"oci:{tmp_path / 'oci'}", go.image("localhost/a:1"))
    go.shutdown()
    with open_store(smallstore.options(roots, driver)) as store:
        assert store.check(Depth.FILES).findings == ()


@pytest.mark.gotools
@pytest.mark.parametrize("driver", DRIVERS)
def test_what_an_archive_says_of_its_root_is_no_damage_where_nobody_heeds_it(
    driver: str, roots: Roots
) -> None:
    root = {"mode": 0o700, "uid": 5, "gid": 6, "mtime": 1}
    data = archive(tarfile.PAX_FORMAT, ("./", None, root), ("./file", b"x", {}))
    GoTools(roots, driver).storage("import-layer", stdin=data)
    with open_store(smallstore.options(roots, driver)) as store:
        store.layers.put(io.BytesIO(data))
        assert faults(store.check(Depth.FILES)) == set()
        for layer in store.snapshot().layers:
            directory = content(store, layer)
            directory.chmod(0o711)
        assert bool(faults(store.check(Depth.FILES))) == (driver == "vfs")


def _flip(store: Store) -> None:
    lower, _ = chain(store)
    path = content(store, lower) / "etc/a"
    status = path.stat()
    path.write_bytes(b"b" + b"a" * 4999)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def _shorten(store: Store) -> None:
    os.truncate(content(store, chain(store)[0]) / "etc/a", 10)


def _remove(store: Store) -> None:
    (content(store, chain(store)[1]) / "etc/b").unlink()


def _add(store: Store) -> None:
    (content(store, chain(store)[1]) / "etc/extra").write_bytes(b"")


def _retype(store: Store) -> None:
    path = content(store, chain(store)[0]) / "hidden/old"
    path.unlink()
    path.mkdir()


def _relink(store: Store) -> None:
    path = content(store, chain(store)[0]) / "bin/x"
    path.unlink()
    path.symlink_to("/etc/b")


def _chmod(store: Store) -> None:
    (content(store, chain(store)[0]) / "set").chmod(0o755)


def _chown(store: Store) -> None:
    os.chown(content(store, chain(store)[0]) / "etc/a", 1, 1)


def _touch(store: Store) -> None:
    os.utime(content(store, chain(store)[0]) / "etc/a", (1, 1))


@pytest.mark.parametrize(
    ("damage", "fault", "seen_by_digest"),
    [
        (_flip, Fault.LAYER_CONTENT, True),
        (_shorten, Fault.LAYER_CONTENT, True),
        (_remove, Fault.LAYER_CONTENT, True),
        (_add, Fault.LAYER_CONTENT, False),
        (_retype, Fault.LAYER_CONTENT, True),
        (_relink, Fault.LAYER_CONTENT, False),
        (_chmod, Fault.LAYER_ATTRIBUTES, False),
        (_chown, Fault.LAYER_ATTRIBUTES, False),
        (_touch, Fault.LAYER_ATTRIBUTES, False),
    ],
)
def test_each_change_of_a_layer_is_found_and_named(
    store: Store, damage: Callable[[Store], None], fault: Fault, *, seen_by_digest: bool
) -> None:
    damage(store)
    assert store.check(Depth.RECORDS).sound
    assert ((Fault.LAYER_DIGEST, "layer") in faults(store.check(Depth.DIGESTS))) is seen_by_digest
    report = store.check(Depth.FILES)
    assert (fault, "layer") in faults(report)
    named = {os.path.basename(f.path) for f in report.findings if f.fault is fault}
    assert named & {"a", "b", "extra", "old", "x", "set"}
    assert all(f.remedy for f in report.findings if not f.is_note)


def test_a_store_opened_to_be_read_is_checked_in_the_same_way(store: Store) -> None:
    _flip(store)
    with open_store(store.options._replace(read_only=True)) as reader:
        assert reader.check(Depth.FILES) == store.check(Depth.FILES)


def test_the_time_of_a_directory_is_no_damage(store: Store) -> None:
    os.utime(content(store, chain(store)[0]) / "etc", (1, 1))
    report = store.check(Depth.FILES)
    assert report.sound
    assert {f.fault for f in report.findings} == {Fault.DIRECTORY_TIMES}


def test_a_whiteout_or_opaque_mark_that_changed_is_found(roots: Roots, tmp_path: Path) -> None:
    write_layout(tmp_path / "oci", LAYERS)
    with open_store(smallstore.options(roots)) as store:
        store.import_images(str(tmp_path / "oci"))
        upper = content(store, chain(store)[1])
        (upper / "etc/gone").unlink()
        os.mknod(upper / "etc/a", 0o020000, 0)
        os.removexattr(upper / "hidden", b"trusted.overlay.opaque")
        reasons = sorted(f.reason for f in store.check(Depth.FILES).findings if not f.is_note)
    assert reasons == [
        "/etc/a is removed, and should not be",
        "/etc/gone is not removed, and should be",
        "/hidden does not hide what is below, and should",
    ]


def _image(store: Store) -> Image:
    return store.snapshot().images.records[0]


def test_data_items_are_compared_with_their_records(store: Store) -> None:
    image = _image(store)
    directory = Path(os.path.dirname(image.location), image.id)
    config = next(
        path
        for path in directory.iterdir()
        if path.stat().st_size == image.big_data_sizes[f"sha256:{image.id}"]
    )
    data = bytearray(config.read_bytes())
    data[0] ^= 1
    config.write_bytes(data)
    assert store.check(Depth.RECORDS).sound
    assert faults(store.check(Depth.DIGESTS)) == {(Fault.DATA_DIGEST, "image")}
    config.write_bytes(b"")
    assert faults(store.check(Depth.RECORDS)) == {(Fault.DATA_SIZE, "image")}
    config.unlink()
    assert faults(store.check(Depth.RECORDS)) == {(Fault.DATA_MISSING, "image")}


def test_layers_without_records_and_without_users_are_found_and_removed(store: Store) -> None:
    store.layers.create(id="0" * 64)
    store.layers.create_driver_layer(id="1" * 64)
    assert (Fault.LAYER_UNREFERENCED, "layer") not in faults(store.check(Depth.RECORDS))
    report = store.check(Depth.RECORDS, unreferenced_age=0)
    assert faults(report) == {
        (Fault.LAYER_UNREFERENCED, "layer"),
        (Fault.LAYER_UNACCOUNTED, "layer"),
    }
    plan = store.plan_repair(report)
    assert {step.action for step in plan.steps} == {Action.REMOVE_DIRECTORY, Action.DELETE_LAYER}
    assert [done.error for done in store.repair(plan.steps)] == ["", ""]
    assert store.check(Depth.FILES, unreferenced_age=0).sound
    assert len(store.driver.list_layers()) == 3


def test_lost_links_and_lower_files_are_written_again(roots: Roots, tmp_path: Path) -> None:
    write_layout(tmp_path / "oci", LAYERS)
    options = smallstore.options(roots)
    with open_store(options) as store:
        (image,) = store.import_images(str(tmp_path / "oci"))
        store.containers.create(names=("web",), image=image.id)
        home = Path(store.driver.home)
        upper = chain(store)[1]
    contents = {path: path.read_bytes() for path in home.glob("*/l*") if path.is_file()}
    links = {path: os.readlink(path) for path in (home / "l").iterdir()}
    shutil.rmtree(home / "l")  # noqa: TID251 - the damage
    (home / upper.id / "lower").unlink()
    with open_store(options) as store:
        report = store.check(Depth.FILES)
        assert {fault for fault, _ in faults(report)} == {Fault.LAYER_LINKS}
        plan = store.plan_repair(report)
        assert {step.action for step in plan.steps} == {Action.WRITE_LINKS}
        assert not plan.left
        assert not [done for done in store.repair(plan.steps) if done.error]
        assert store.check(Depth.FILES).findings == ()
    assert {path: os.readlink(path) for path in (home / "l").iterdir()} == links
    assert {path: path.read_bytes() for path in contents} == contents


def test_a_damaged_image_goes_but_never_under_a_container(store: Store) -> None:
    _flip(store)
    report = store.check(Depth.FILES)
    plan = store.plan_repair(report)
    assert plan.steps == ()
    assert plan.left
    plan = store.plan_repair(report, containers=True)
    assert [step.action for step in plan.steps][:2] == [
        Action.DELETE_CONTAINER,
        Action.DELETE_IMAGE,
    ]
    assert not [done for done in store.repair(plan.steps) if done.error]
    assert store.check(Depth.FILES, unreferenced_age=0).findings == ()
    assert store.driver.list_layers() == []


def test_a_check_changes_nothing_in_the_store(store: Store, roots: Roots) -> None:
    _flip(store)
    store.layers.create_driver_layer(id="1" * 64)
    before = _everything(roots.graph)
    store.check(Depth.FILES, unreferenced_age=0)
    assert _everything(roots.graph) == before


def _everything(root: Path) -> dict[str, tuple[int, int, int]]:
    return {
        os.path.join(where, name): (status.st_ino, status.st_mtime_ns, status.st_ctime_ns)
        for where, directories, files in os.walk(root)
        for name in (*directories, *files)
        for status in [os.lstat(os.path.join(where, name))]
    }


def test_what_is_mounted_stops_a_shutdown_until_it_is_forced(roots: Roots) -> None:
    smallstore.make(roots)
    with open_store(smallstore.options(roots)) as store:
        path = store.mounts.mount("web")
        with pytest.raises(MountedError, match="layer"):
            store.shutdown()
        assert mounttable.at(Path(path)) is not None
        assert len(store.shutdown(force=True)) == 1
        assert store.shutdown() == []
    assert mounttable.below(roots.graph) == []


def test_a_wiped_store_is_empty_and_works(store: Store, roots: Roots, tmp_path: Path) -> None:
    store.layers.create_driver_layer(id="1" * 64)
    store.wipe()
    snapshot = store.snapshot()
    assert (len(snapshot.layers), len(snapshot.images), len(snapshot.containers)) == (0, 0, 0)
    assert store.driver.list_layers() == []
    left = [name for name in os.listdir(store.paths.images) if len(name) == 64]
    assert left == []
    (image,) = store.import_images(str(tmp_path / "oci"))
    assert store.check(Depth.FILES).sound
    assert image.layer


def test_garbage_is_what_no_record_owns(store: Store) -> None:
    store.layers.create_driver_layer(id="1" * 64)
    orphan = Path(store.paths.images, "2" * 64)
    orphan.mkdir()
    (orphan / "=x").write_bytes(b"x")
    (Path(store.paths.images) / "kept").mkdir()
    assert set(store.collect_garbage()) == {"1" * 64, str(orphan)}
    assert not orphan.exists()
    assert (Path(store.paths.images) / "kept").exists()
    assert store.collect_garbage() == []
    assert store.check(Depth.FILES).findings == ()


def test_garbage_is_what_a_dead_writer_left_unfinished(store: Store) -> None:
    image = store.images.create(names=["i"], big_data=[("manifest", b"{}", None)])
    left = (
        f"{store.paths.layers}/.tmp-layers.json123",
        f"{store.paths.images}/{image.id}/.tmp-manifest0",
    )
    for path in left:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w"):
            pass
    assert sorted(store.collect_garbage()) == sorted(left)
    assert not any(map(os.path.exists, left))
    assert store.images.big_data("i", "manifest") == b"{}"


def test_garbage_is_what_is_left_of_data_items(store: Store) -> None:
    kinds: tuple[Objects[Any], ...] = (store.layers, store.images, store.containers)
    ids = chain(store)[0].id, *(store.snapshot().images.by_id), *(store.snapshot().containers.by_id)
    directories = store.paths.layers, store.paths.images, store.paths.containers
    left = []
    for kind, id_, directory in zip(kinds, ids, directories, strict=True):
        kind.set_big_data(id_, "Kept", b"kept")
        left.append(f"{directory}/{id_}/gone")
        Path(left[-1]).write_bytes(b"x")
        (Path(directory, id_) / "userdata").mkdir()
    assert sorted(store.collect_garbage()) == sorted(left)
    assert not any(map(os.path.exists, left))
    assert [kind.big_data(id_, "Kept") for kind, id_ in zip(kinds, ids, strict=True)] == [
        b"kept"
    ] * 3
    assert store.check(Depth.FILES).findings == ()


def test_equal_files_stay_as_they_are_whether_or_not_they_can_share(store: Store) -> None:
    before = store.check(Depth.FILES)
    assert store.dedup(DedupMethod.SHA256) >= 0
    assert store.check(Depth.FILES) == before
