"""Layers under other IDs: mapped by the kernel for a mount. Ours and the Go tools' agree."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from backend import open_store
from drivers.idmap.maps import IDMap
from drivers.linux import mount, mountinfo, userns
from drivers.powers import IDShift
from drivers.protocol import Driver, MountRequest, NewLayer
from drivers.trash import TrashDirectory
from tests.support import ociimage, smallstore
from tests.support.driverlayers import BASE, CHILD, TOP, edit_layer, fill, mounts_of, open_for
from tests.support.gotools import GoTools, Roots

pytestmark = [pytest.mark.root, pytest.mark.overlay]

USERS = (IDMap(0, 300_000, 2000),)
GROUPS = (IDMap(0, 400_000, 2000),)
PODMAN = ("--uidmap=0:300000:2000", "--gidmap=0:400000:2000")
MAPS = ("--uidmap", "0:300000:2000", "--gidmap", "0:400000:2000")

SUBDIRECTORY = ociimage.Entry("dir")


def view_path(view: int) -> str:
    return f"/proc/self/fd/{view}"


def layers_of(entry: mountinfo.MountEntry) -> list[str]:
    return [option for option in entry.super_options.split(",") if "dir=" in option]


@pytest.fixture
def driver(roots: Roots) -> Driver:
    driver = open_for(roots, "overlay")
    driver.create(NewLayer(id=BASE, writable=True))
    edit_layer(driver, BASE, fill)
    driver.create(NewLayer(id=CHILD, parent=BASE, writable=True))
    edit_layer(driver, CHILD, lambda root: (root / "new").write_text("child"))
    driver.create(NewLayer(id=TOP, parent=CHILD, writable=True))
    return driver


def request_for_top() -> MountRequest:
    return MountRequest(layer=TOP, uid_map=USERS, gid_map=GROUPS)


def owners(root: Path | str, *names: str) -> Iterator[tuple[int, int]]:
    for name in names:
        status = os.lstat(os.path.join(root, name or "."))
        yield status.st_uid, status.st_gid


class TestMount:
    def test_lower_files_are_owned_by_the_hosts_ids(self, driver: Driver) -> None:
        root = driver.mount(request_for_top())
        found = list(owners(root, "file", "new", "dir", "dir/file", "link"))
        assert found == [(300_000, 400_000)] * 3 + [(301_000, 401_000), (300_000, 400_000)]
        driver.unmount(TOP)

    def test_what_is_written_lands_as_it_was_written(self, driver: Driver) -> None:
        root = Path(driver.mount(request_for_top()))
        (root / "mine").touch()
        os.chown(root / "mine", 300_007, 400_007)
        os.chmod(root / "dir" / "file", 0o600)  # copied up
        driver.unmount(TOP)
        diff = driver.diff_directory(TOP)
        assert list(owners(diff, "mine", "dir/file")) == [(300_007, 400_007), (301_000, 401_000)]
        assert list(owners(driver.diff_directory(BASE), "dir/file")) == [(1000, 1000)]

    def test_an_id_without_a_range_belongs_to_nobody(self, driver: Driver) -> None:
        os.chown(Path(driver.diff_directory(CHILD), "new"), 5000, 5000)
        root = driver.mount(request_for_top())
        assert list(owners(root, "new")) == [(65534, 65534)]
        driver.unmount(TOP)

    def test_one_map_leaves_the_other_ids_alone(self, driver: Driver) -> None:
        root = driver.mount(MountRequest(layer=TOP, uid_map=USERS))
        assert list(owners(root, "dir/file")) == [(301_000, 1000)]
        driver.unmount(TOP)

    def test_the_copies_are_gone_when_it_is_mounted(self, driver: Driver, roots: Roots) -> None:
        root = driver.mount(request_for_top())
        mounted = {entry.target for entry in mountinfo.below(str(roots.graph))}
        assert mounted == {str(roots.graph / "overlay"), root}
        assert not (roots.graph / "overlay" / TOP / "mapped").exists()
        driver.unmount(TOP)

    def test_a_chain_of_older_contents_is_mapped_too(self, driver: Driver, roots: Roots) -> None:
        older = roots.graph / "overlay" / CHILD / "diff1"
        older.mkdir()
        (older / "older").touch()
        root = driver.mount(request_for_top())
        assert list(owners(root, "older")) == [(300_000, 400_000)]
        driver.unmount(TOP)

    def test_a_page_is_not_enough_for_a_deep_chain(self, driver: Driver) -> None:
        parent = CHILD
        for number in range(60):
            layer = type(CHILD)(f"{number:064x}")
            driver.create(NewLayer(id=layer, parent=parent))
            parent = layer
        top = type(CHILD)("e" * 64)
        driver.create(NewLayer(id=top, parent=parent, writable=True))
        root = driver.mount(MountRequest(layer=top, uid_map=USERS, gid_map=GROUPS))
        assert list(owners(root, "dir/file")) == [(301_000, 401_000)]
        driver.unmount(top)

    def test_what_a_crash_left_is_taken_away(self, driver: Driver, roots: Roots) -> None:
        def crash() -> Path:
            left = roots.graph / "overlay" / TOP / "mapped" / "0"
            left.mkdir(parents=True, exist_ok=True)
            namespace = userns.with_maps(USERS, GROUPS)
            fd = mount.mapped_copy(str(roots.graph / "overlay"), namespace)
            mount.move_mount(fd, str(left))
            os.close(fd)
            os.close(namespace)
            assert mountinfo.at(str(left)) is not None
            return left

        left = crash()
        driver.mount(request_for_top())
        assert mountinfo.at(str(left)) is None
        driver.unmount(TOP)
        crash()
        driver.unmount(TOP)
        assert mountinfo.at(str(left)) is None
        crash()
        trash = TrashDirectory(driver.new_trash_root(TOP))
        driver.remove(TOP, trash)
        trash.erase()
        assert mountinfo.at(str(left)) is None
        assert Path(driver.diff_directory(BASE), "file").exists()

    def test_a_link_in_the_place_of_the_copies_is_refused(
        self, driver: Driver, roots: Roots
    ) -> None:
        outside = roots.graph.parent / "outside"
        outside.mkdir()
        (roots.graph / "overlay" / TOP / "mapped").symlink_to(outside)
        with pytest.raises(Exception, match="mapped: is a link"):
            driver.mount(request_for_top())
        assert os.listdir(outside) == []


class TestView:
    def test_a_private_view_has_the_same_owners_and_shows_nothing(
        self, driver: Driver, roots: Roots
    ) -> None:
        before = mounts_of(roots)
        fd = driver.open_merged(TOP, USERS, GROUPS)
        assert mounts_of(roots) == before
        assert list(owners(f"/proc/self/fd/{fd}", "file", "dir/file")) == [
            (300_000, 400_000),
            (301_000, 401_000),
        ]
        os.close(fd)
        assert not roots.run.exists() or not list(roots.run.rglob("mapped-*"))


class TestProbe:
    def test_the_answer_is_kept_where_the_go_tools_look_for_it(
        self, driver: Driver, roots: Roots
    ) -> None:
        assert isinstance(driver, IDShift)
        assert driver.shifts(USERS, GROUPS)
        assert (roots.run / "overlay" / "idmapped-lower-dir-true").exists()
        (roots.run / "overlay" / "idmapped-lower-dir-true").rename(
            roots.run / "overlay" / "idmapped-lower-dir-false"
        )
        assert not open_for(roots, "overlay").shifts(USERS, GROUPS)


@pytest.mark.gotools
class TestWithTheGoTools:
    @pytest.fixture
    def tools(self, roots: Roots) -> Iterator[GoTools]:
        smallstore.make(roots)
        tools = GoTools(roots)
        tools.storage("create-container", *MAPS, "--name", "mapped", smallstore.IMAGE)
        yield tools
        tools.shutdown()

    def test_a_mount_by_us_is_the_mount_by_them(self, tools: GoTools, roots: Roots) -> None:
        theirs = tools.storage("mount", "mapped").strip()
        seen = list(owners(theirs, "", *sorted(os.listdir(theirs))))
        told = mountinfo.at(theirs)
        tools.storage("unmount", "mapped")
        assert told is not None
        with open_store(smallstore.options(roots)) as store:
            ours = store.mounts.mount("mapped")
            assert ours == theirs
            mine = mountinfo.at(ours)
            assert mine is not None
            assert list(owners(ours, "", *sorted(os.listdir(ours)))) == seen
            assert layers_of(mine) == layers_of(told)
            Path(ours, "one").chmod(0o604)
            store.mounts.unmount("mapped")
            layer = store.cached().containers.find("mapped")
            assert layer is not None
            diff = store.driver.diff_directory(layer.layer)
            assert list(owners(diff, "one")) == [(300_000, 400_000)]
            assert "mapped" not in os.listdir(Path(diff).parent)

    def test_either_ends_a_mount_of_the_other(self, tools: GoTools, roots: Roots) -> None:
        with open_store(smallstore.options(roots)) as store:
            where = store.mounts.mount("mapped")
            tools.storage("unmount", "mapped")
            assert mountinfo.at(where) is None
            tools.storage("mount", "mapped")
            assert mountinfo.at(where) is not None
            assert store.mounts.unmount("mapped")
            assert mountinfo.at(where) is None

    def test_a_store_that_is_only_read_shows_the_same_owners(
        self, tools: GoTools, roots: Roots
    ) -> None:
        tools.shutdown()
        for answer in (roots.run / "overlay").glob("idmapped-*"):
            answer.unlink()
        options = smallstore.options(roots)._replace(read_only=True)
        before = mounts_of(roots)
        with open_store(options) as store:
            view = store.mounts.open_view("mapped")
            names = os.listdir(view_path(view))
            assert set(owners(view_path(view), *names)) == {(300_000, 400_000)}
            os.close(view)
        assert mounts_of(roots) == before

    def test_podman_sees_what_we_see(self, roots: Roots, tmp_path: Path) -> None:
        tools = GoTools(roots)
        ociimage.write_layout(tmp_path / "oci", [[ociimage.Entry("one", b"1"), SUBDIRECTORY]])
        tools.skopeo("copy", f"oci:{tmp_path}/oci", tools.image("localhost/small:1"))
        name = tools.podman("create", *PODMAN, "localhost/small:1", "/one")
        theirs = tools.podman("mount", name)
        names = sorted(os.listdir(theirs))
        seen = list(owners(theirs, "", *names))
        tools.podman("umount", name)
        with open_store(smallstore.options(roots)) as store:
            ours = store.mounts.mount(name)
            assert list(owners(ours, "", *names)) == seen
            assert (300_000, 400_000) in seen
            view = store.mounts.open_view(name)
            assert list(owners(view_path(view), "", *names)) == seen
            os.close(view)
            store.mounts.unmount(name)
        tools.shutdown()
