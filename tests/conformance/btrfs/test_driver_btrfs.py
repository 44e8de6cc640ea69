"""The btrfs driver against the suite, what is its own, and the Go tools beside it."""

import os
import stat
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from backend import Store, open_store
from backend.model.findings import Depth
from drivers.errors import DriverNotSupportedError, DriverOptionError, LayerDirectoryError
from drivers.ids import LayerID
from drivers.protocol import DedupMethod, Driver, MountRequest, NewLayer
from drivers.trash import TrashDirectory
from tests.conformance.driver_suite import DriverSuite
from tests.support import (
    btrfs,
    mounttable,
    ociimage,
    process,
    rootless,
    smallstore,
    wait,
)
from tests.support.driverlayers import (
    BASE,
    CHILD,
    NEW,
    NEXT,
    assert_nothing_is_left,
    edit_layer,
    open_for,
    show,
    unpack,
)
from tests.support.gotools import Roots
from tests.support.mounted import Mounted

pytestmark = [pytest.mark.root, pytest.mark.btrfs]

MountStore = Callable[..., Mounted]


def remove(driver: Driver, layer: LayerID) -> None:
    trash = TrashDirectory(driver.new_trash_root(layer))
    driver.remove(layer, trash)
    trash.erase()


class TestBtrfs(DriverSuite):
    @pytest.fixture
    def driver(self, roots: Roots) -> Driver:
        return open_for(roots, "btrfs")

    def test_every_layer_is_a_subvolume_where_the_go_tools_have_it(
        self, driver: Driver, disk: Path, roots: Roots
    ) -> None:
        self.chain(driver)
        where = roots.graph / "btrfs" / "subvolumes"
        names = sorted(driver.list_layers())
        expected = [str((where / name).relative_to(disk)) for name in names]
        assert btrfs.subvolumes(disk, roots.graph) == expected
        assert not mounttable.below(roots.graph)

    def test_a_child_shares_what_it_does_not_change(self, driver: Driver) -> None:
        driver.create(NewLayer(id=BASE, writable=True))
        edit_layer(driver, BASE, lambda root: (root / "file").write_bytes(os.urandom(1 << 20)))
        driver.create(NewLayer(id=CHILD, parent=BASE, writable=True))
        os.sync()
        words = ["btrfs", "filesystem", "du", "-s", "--raw", driver.diff_directory(CHILD)]
        exclusive = process.run(words).stdout.decode().splitlines()[1].split()[1]
        assert exclusive == "0"

    def test_a_staged_layer_is_a_snapshot_too(
        self, driver: Driver, disk: Path, roots: Roots
    ) -> None:
        self.chain(driver)
        staged = driver.stage(NewLayer(id=NEXT, parent=CHILD))
        unpack(staged.place, NEW)
        staged.commit()
        path = Path(driver.diff_directory(NEXT)).relative_to(disk)
        assert str(path) in btrfs.subvolumes(disk, roots.graph)


def test_a_copy_has_what_nested_subvolumes_have(driver: Driver, disk: Path) -> None:
    driver.create(NewLayer(id=BASE, writable=True))
    edit_layer(driver, BASE, btrfs.nest)
    driver.create(NewLayer(id=CHILD, parent=BASE, writable=True))
    assert show(driver, CHILD) == show(driver, BASE) == {"var/deep/lib/file": "nested"}
    assert driver.changes(CHILD, BASE) == []
    edit_layer(driver, CHILD, lambda root: (root / "var/deep/lib/file").write_text("child"))
    assert show(driver, BASE) == {"var/deep/lib/file": "nested"}
    assert [change.path for change in driver.changes(CHILD, BASE)] == [
        b"/var",
        b"/var/deep",
        b"/var/deep/lib",
        b"/var/deep/lib/file",
    ]
    names = btrfs.subvolumes(disk, Path(driver.diff_directory(CHILD)))
    assert [name.rpartition(CHILD)[2] for name in names] == ["/frozen", "/var", "/var/deep/lib"]


def test_nested_subvolumes_go_with_their_layer(driver: Driver, disk: Path, roots: Roots) -> None:
    driver.create(NewLayer(id=BASE, writable=True))
    edit_layer(driver, BASE, btrfs.nest)
    remove(driver, BASE)
    assert btrfs.subvolumes(disk, roots.graph) == []
    assert_nothing_is_left(driver)


def test_a_layer_that_somebody_made_read_only_can_be_removed(driver: Driver, disk: Path) -> None:
    driver.create(NewLayer(id=BASE, writable=True))
    edit_layer(driver, BASE, btrfs.nest)
    path = driver.diff_directory(BASE)
    process.run(["btrfs", "property", "set", path, "ro", "true"])
    remove(driver, BASE)
    assert not driver.exists(BASE)
    assert btrfs.subvolumes(disk, Path(driver.home)) == []


def test_no_depth_of_subvolumes_or_directories_is_too_deep_to_be_removed(
    driver: Driver, disk: Path
) -> None:
    driver.create(NewLayer(id=BASE, writable=True))
    code = (
        "import os, sys; from drivers.linux import subvolume;"
        "os.chdir(sys.argv[1])\n"
        "for number in range(1200):\n"
        "    if number % 4 == 0 and number < 1000: subvolume.create(os.open('.', 0), b'd')\n"
        "    else: os.mkdir('d')\n"
        "    os.chdir('d')\n"
    )
    process.run(
        ["prlimit", "--nofile=4096", sys.executable, "-c", code, driver.diff_directory(BASE)],
        timeout=60,
    )
    assert len(btrfs.subvolumes(disk, Path(driver.home))) > 1
    remove(driver, BASE)
    assert btrfs.subvolumes(disk, Path(driver.home)) == []


def test_what_a_dead_process_was_removing_goes_with_its_subvolumes(
    driver: Driver, disk: Path
) -> None:
    driver.create(NewLayer(id=BASE, writable=True))
    edit_layer(driver, BASE, btrfs.nest)
    left = Path(driver.new_trash_root(BASE), "temp-dir-dead")
    left.mkdir(parents=True)
    os.rename(driver.diff_directory(BASE), left / "0-layer")
    driver.cleanup()
    assert btrfs.subvolumes(disk, Path(driver.home)) == []
    assert_nothing_is_left(driver)


def quota_is_on(disk: Path) -> bool:
    told = process.run(["btrfs", "qgroup", "show", str(disk)], check=False)
    return told.returncode == 0


def quota_groups(disk: Path) -> list[str]:
    """What is known of the quota groups once the kernel has removed what it was told to."""
    process.run(["btrfs", "filesystem", "sync", str(disk)])
    return (
        process.run(["btrfs", "qgroup", "show", "-r", "--raw", str(disk)]).stdout.decode().split()
    )


def test_without_a_size_quotas_are_left_as_they_are(roots: Roots, disk: Path) -> None:
    driver = open_for(roots, "btrfs", "btrfs.min_space=1G")
    for was in (False, True):
        if was:
            process.run(["btrfs", "quota", "enable", str(disk)])
        driver.create(NewLayer(id=BASE, writable=True))
        driver.create(NewLayer(id=CHILD, parent=BASE, writable=True))
        for layer in (CHILD, BASE):
            driver.mount(MountRequest(layer=layer))
            remove(driver, layer)
        driver.cleanup()
        assert quota_is_on(disk) is was
    process.run(["btrfs", "quota", "disable", str(disk)])


def test_a_writable_layer_holds_no_more_than_its_size(roots: Roots, disk: Path) -> None:
    driver = open_for(roots, "btrfs", "btrfs.size=4M")
    driver.create(NewLayer(id=BASE))
    driver.create(NewLayer(id=CHILD, parent=BASE, writable=True))
    assert (roots.graph / "btrfs" / "quotas" / CHILD).read_text() == str(4 << 20)
    assert not (roots.graph / "btrfs" / "quotas" / BASE).exists()

    def write(layer: LayerID) -> int:
        path = os.path.join(driver.diff_directory(layer), "big")
        words = ["dd", "if=/dev/zero", f"of={path}", "bs=1M", "count=8", "conv=fsync"]
        return process.run(words, check=False).returncode

    assert write(BASE) == 0
    assert write(CHILD) != 0
    edit_layer(driver, BASE, btrfs.nest)
    remove(driver, CHILD)
    remove(driver, BASE)
    assert os.listdir(roots.graph / "btrfs" / "quotas") == []
    assert quota_is_on(disk)
    wait.until(lambda: str(4 << 20) not in quota_groups(disk), 20, "the group is gone")
    process.run(["btrfs", "quota", "disable", str(disk)])


def test_a_limit_that_a_stopped_removal_left_goes_with_the_next(roots: Roots, disk: Path) -> None:
    driver = open_for(roots, "btrfs", "btrfs.size=1G")
    driver.create(NewLayer(id=BASE, writable=True))
    process.run(["btrfs", "subvolume", "delete", driver.diff_directory(BASE)])
    remove(driver, BASE)
    assert os.listdir(roots.graph / "btrfs" / "quotas") == []
    assert_nothing_is_left(driver)
    process.run(["btrfs", "quota", "disable", str(disk)])


def test_a_full_layer_with_nested_subvolumes_can_be_removed(roots: Roots, disk: Path) -> None:
    driver = open_for(roots, "btrfs", "btrfs.size=2M")
    driver.create(NewLayer(id=BASE, writable=True))
    edit_layer(driver, BASE, btrfs.nest)
    path = os.path.join(driver.diff_directory(BASE), "big")
    process.run(["dd", "if=/dev/zero", f"of={path}", "bs=4k", "oflag=dsync"], check=False)
    remove(driver, BASE)
    assert btrfs.subvolumes(disk, Path(driver.home)) == []
    process.run(["btrfs", "quota", "disable", str(disk)])


def is_btrfs(path: Path) -> bool:
    told = process.run(["stat", "--file-system", "--format=%T", str(path)])
    return told.stdout == b"btrfs\n"


def test_another_file_system_is_refused_with_its_name(tmp_path: Path) -> None:
    if is_btrfs(tmp_path):
        pytest.skip("the directory of the tests is on btrfs")
    elsewhere = Roots(tmp_path / "graph", tmp_path / "run")
    driver = open_for(elsewhere, "btrfs")
    for make in (driver.create, driver.stage):
        with pytest.raises(DriverNotSupportedError, match="not on a btrfs") as caught:
            make(NewLayer(id=BASE))
        assert str(tmp_path) in str(caught.value)
        assert caught.value.remedy
    assert not elsewhere.graph.exists()


def test_a_parent_that_is_a_plain_directory_is_named(driver: Driver) -> None:
    driver.create(NewLayer(id=BASE))
    path = Path(driver.diff_directory(BASE))
    remove(driver, BASE)
    path.mkdir()
    with pytest.raises(LayerDirectoryError, match="no subvolume") as caught:
        driver.create(NewLayer(id=CHILD, parent=BASE))
    assert (caught.value.layer, caught.value.path) == (BASE, str(path))
    assert [damage.reason for damage in driver.inspect(BASE, None)] == ["is no subvolume"]
    assert not driver.exists(CHILD)
    remove(driver, BASE)
    assert not path.exists()


def test_mount_options_are_refused(driver: Driver) -> None:
    driver.create(NewLayer(id=BASE))
    driver.mount(MountRequest(layer=BASE, options=("ro",)))
    with pytest.raises(DriverOptionError, match="nodev"):
        driver.mount(MountRequest(layer=BASE, options=("nodev",)))


@pytest.mark.rootless
def test_a_user_needs_no_privilege_and_no_mount_option() -> None:
    with tempfile.TemporaryDirectory(prefix="storagefs-btrfs-") as base:
        os.chmod(base, 0o755)
        with btrfs.file_system(Path(base)) as own, rootless.user() as user:
            os.chown(own, rootless.UID, rootless.UID)
            _use_as(user, own)


def _use_as(user: rootless.User, own: Path) -> None:
    graph = own / "graph"

    def run(*words: str, check: bool = True) -> str:
        where = ["--graph", str(graph), "--run", str(user.home / "run"), "-s", "btrfs"]
        done = user.storagefs(*where, *words, check=check)
        return (done.stdout if check else done.stderr).decode().strip()

    base = run("create-layer")
    nested = graph / "btrfs" / "subvolumes" / base / "nested"
    make = 'btrfs subvolume create "$1" && touch "$1/file" && btrfs property set "$1" ro true'
    run("unshare", "sh", "-c", make, "sh", str(nested))
    top = run("create-layer", base)
    assert os.listdir(graph / "btrfs" / "subvolumes" / top / "nested") == ["file"]
    refused = run("--storage-opt", "btrfs.size=1G", "create-layer", base, check=False)
    assert "only root may limit" in refused
    run("delete", top, base)
    assert btrfs.subvolumes(own, graph) == []
    assert os.listdir(graph / "btrfs") == ["subvolumes"]


def test_an_image_is_imported_and_checked_to_the_last_file(store: Store, tmp_path: Path) -> None:
    entry = ociimage.Entry
    lower = [entry("etc"), entry("etc/gone", b"x"), entry("etc/a", b"a")]
    upper = [entry("etc/.wh.gone", b""), entry("etc/b", b"b")]
    ociimage.write_layout(tmp_path / "oci", (lower, upper))
    (image,) = store.import_images(str(tmp_path / "oci"), names=("image",))
    assert show(store.driver, LayerID(str(image.layer))) == {"etc/a": "a", "etc/b": "b"}
    container = store.containers.create(names=("web",), image=image.id)
    report = store.check(Depth.FILES)
    assert report.findings == ()
    assert report.checked == {"layers": 3, "images": 1, "containers": 1}
    assert store.dedup(DedupMethod.CRC) == 0
    Path(store.driver.diff_directory(LayerID(str(image.layer))), "etc", "a").write_text("damage")
    assert {finding.fault for finding in store.check(Depth.FILES).findings} != set()
    store.containers.delete(container.id)
    store.images.delete(image.id)
    assert list(store.driver.list_layers()) == []


def test_a_new_store_gets_the_first_driver_that_works_and_keeps_it(
    roots: Roots, tmp_path: Path
) -> None:
    priority = ("zfs", "btrfs", "vfs")
    for place in (roots.graph, tmp_path / "graph"):
        where = smallstore.options(Roots(place, roots.run / "run"), driver="")
        with open_store(where._replace(driver_priority=priority)) as store:
            store.layers.create()
            found = store.driver.name
        assert found == ("btrfs" if is_btrfs(place) else "vfs")
        with open_store(where) as store:
            assert store.driver.name == found
            assert len(store.snapshot().layers.records) == 1


def test_a_tree_of_a_store_is_browsed_and_written(roots: Roots, mount_store: MountStore) -> None:
    smallstore.make(roots, driver="btrfs")
    mounted = mount_store(roots, driver="btrfs")
    diff = mounted.where / "layers" / smallstore.TOP / "diff"
    assert sorted(os.listdir(diff)) == ["gone", "two"]
    assert stat.S_ISCHR(os.lstat(diff / "gone").st_mode)
    image = mounted.where / "images" / "localhost" / "small:1"
    assert sorted(os.listdir(image / "rootfs")) == ["bin", "etc", "one", "set", "two"]
    web = mounted.where / "containers" / "db"
    process.run(["mkdir", str(image / "containers" / "db")], timeout=20)
    process.run(["sh", "-c", f"echo x > {web}/rootfs/new && rm {web}/rootfs/two"], timeout=20)
    assert sorted(os.listdir(web / "diff")) == ["new", "two"]
    process.run(["rmdir", str(web)], timeout=20)
    assert not web.exists()


def test_a_note_of_a_limit_that_was_not_finished_goes_with_the_layer(
    roots: Roots, disk: Path
) -> None:
    driver = open_for(roots, "btrfs", "btrfs.size=1G")
    driver.create(NewLayer(id=BASE, writable=True))
    notes = roots.graph / "btrfs" / "quotas"
    (notes / BASE).rename(notes / f".tmp-{BASE}0")
    remove(driver, BASE)
    assert os.listdir(notes) == []
    process.run(["btrfs", "quota", "disable", str(disk)])
