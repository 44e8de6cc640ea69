"""The overlay driver against the suite, and what is its own: chains, links, hostile content."""

import os
import stat
from pathlib import Path

import pytest

from drivers.erase import erase_tree
from drivers.errors import (
    LayerDirectoryError,
    UnsafeNameError,
)
from drivers.idmap.maps import NO_MAPS
from drivers.ids import LayerID
from drivers.linux import mount, mountinfo, recordlock
from drivers.protocol import Change, ChangeKind, Driver, DriverOptions, MountRequest, NewLayer
from drivers.registry import open_driver
from drivers.trash import TrashDirectory
from tests.conformance.driver_suite import DriverSuite
from tests.support import ociimage
from tests.support.driverlayers import (
    BASE,
    CHILD,
    OTHER_IDS,
    TOP,
    UPPER_IDS,
    archive,
    edit_layer,
    fill,
    make_chain,
    open_for,
    unpack,
)
from tests.support.gotools import Roots

pytestmark = [pytest.mark.root, pytest.mark.overlay]


@pytest.fixture
def driver(roots: Roots) -> Driver:
    return open_for(roots, "overlay")


class TestOverlay(DriverSuite):
    """The suite, with the fixture of this module."""

    def test_directories_keep_their_times_when_owners_change(self, driver: Driver) -> None:
        driver.create(NewLayer(id=BASE, writable=True))
        edit_layer(driver, BASE, fill)
        edit_layer(driver, BASE, lambda root: os.link(root / "dir" / "file", root / "dir" / "two"))
        edit_layer(driver, BASE, lambda root: os.utime(root / "dir", ns=(10**18, 10**18)))
        driver.create(NewLayer(id=CHILD, parent=BASE, writable=True))
        driver.remap(CHILD, NO_MAPS, UPPER_IDS)
        fd = driver.open_merged(CHILD)
        assert os.stat("dir", dir_fd=fd).st_mtime_ns == 10**18
        assert os.stat("dir/two", dir_fd=fd).st_nlink == 2
        os.close(fd)

    def test_a_change_of_owners_rotates_the_contents(self, driver: Driver, roots: Roots) -> None:
        driver.create(NewLayer(id=BASE, writable=True))
        edit_layer(driver, BASE, fill)
        os.chmod(driver.diff_directory(BASE), 0o750)
        driver.create(NewLayer(id=CHILD, parent=BASE, writable=True))
        driver.remap(CHILD, NO_MAPS, UPPER_IDS)
        driver.remap(CHILD, UPPER_IDS, OTHER_IDS)
        child = home(roots) / CHILD
        assert {"diff", "diff1", "diff2"} <= set(os.listdir(child))
        assert os.listdir(child / "diff") == []
        status = os.stat(child / "diff")
        assert (status.st_mode & 0o777, status.st_uid, status.st_gid) == (0o750, 500_000, 600_000)
        assert os.lstat(child / "diff2" / "file").st_uid == 100_000
        assert os.lstat(child / "diff1" / "file").st_uid == 500_000
        assert driver.changes(CHILD, BASE, maps=OTHER_IDS) == []


def home(roots: Roots) -> Path:
    return roots.graph / "overlay"


class TestLayout:
    def test_the_files_of_a_chain_are_those_of_the_go_tools(
        self, driver: Driver, roots: Roots
    ) -> None:
        make_chain(driver, 3)
        base, child, top = (home(roots) / f"{number:064x}" for number in range(3))
        shorts = [(path / "link").read_text() for path in (base, child, top)]
        assert sorted(os.listdir(base)) == ["diff", "empty", "link", "merged", "work"]
        assert sorted(os.listdir(top)) == [
            "diff",
            "link",
            "lower",
            "lower-layers",
            "merged",
            "work",
        ]
        assert (top / "lower").read_text() == f"l/{shorts[1]}:l/{shorts[0]}"
        assert (top / "lower-layers").read_text() == f"{child.name}:{base.name}"
        for path, short in zip((base, child, top), shorts, strict=True):
            assert os.readlink(home(roots) / "l" / short) == f"../{path.name}/diff"
            assert stat.S_IMODE(path.stat().st_mode) == 0o700
            assert stat.S_IMODE((path / "link").stat().st_mode) == 0o644

    def test_a_lost_link_is_made_again_by_the_mount_that_misses_it(
        self, driver: Driver, roots: Roots
    ) -> None:
        layers = make_chain(driver, 3)
        links = {path.name: os.readlink(path) for path in (home(roots) / "l").iterdir()}
        erase_tree(str(home(roots) / "l"))
        driver.create(NewLayer(id=TOP, parent=layers[-1], writable=True))
        assert len(os.listdir(driver.mount(MountRequest(layer=TOP)))) == 3
        assert (
            links.items()
            <= {path.name: os.readlink(path) for path in (home(roots) / "l").iterdir()}.items()
        )

    def test_a_read_only_driver_finds_its_way_without_links_and_repairs_nothing(
        self, driver: Driver, roots: Roots
    ) -> None:
        layers = make_chain(driver, 3)
        erase_tree(str(home(roots) / "l"))
        fd = open_for(roots, "overlay", read_only=True).open_merged(layers[-1])
        assert len(os.listdir(f"/proc/self/fd/{fd}")) == 3
        os.close(fd)
        assert not (home(roots) / "l").exists()

    @pytest.mark.parametrize("damage", [b"", b"\0" * 26, b"../../etc"])
    def test_a_damaged_link_file_is_told_by_the_link_itself(
        self, driver: Driver, roots: Roots, damage: bytes
    ) -> None:
        (base,) = make_chain(driver, 1)
        short = (home(roots) / base / "link").read_text()
        (home(roots) / base / "link").write_bytes(damage)
        driver.create(NewLayer(id=CHILD, parent=base))
        assert (home(roots) / CHILD / "lower").read_text() == f"l/{short}"
        assert (home(roots) / base / "link").read_text() == short

    @pytest.mark.parametrize("damage", [b"", b"\0" * 30, b"/etc", b"l/../../x"])
    def test_a_damaged_lower_file_is_told_by_lower_layers_or_refused_by_name(
        self, driver: Driver, roots: Roots, damage: bytes
    ) -> None:
        layers = make_chain(driver, 2)
        (home(roots) / layers[1] / "lower").write_bytes(damage)
        os.close(driver.open_merged(layers[1]))
        (home(roots) / layers[1] / "lower-layers").unlink()
        with pytest.raises(LayerDirectoryError, match="lower") as caught:
            driver.open_merged(layers[1])
        assert caught.value.remedy

    def test_a_link_that_leads_out_of_the_home_is_refused(
        self, driver: Driver, roots: Roots
    ) -> None:
        layers = make_chain(driver, 2)
        link = home(roots) / "l" / (home(roots) / layers[0] / "link").read_text()
        for target in ("../../../etc", "/etc", "../../diff", "../../x/diff"):
            link.unlink()
            link.symlink_to(target)
            with pytest.raises(LayerDirectoryError):
                driver.open_merged(layers[1])

    @pytest.mark.parametrize("part", ["diff", "work"])
    def test_a_part_that_is_a_link_is_refused(
        self, driver: Driver, roots: Roots, tmp_path: Path, part: str
    ) -> None:
        base, top = make_chain(driver, 2)
        place, outside = home(roots) / top / part, tmp_path / "outside"
        outside.mkdir()
        if not place.exists():
            place.mkdir()
        erase_tree(str(place))
        place.symlink_to(outside)
        with pytest.raises(LayerDirectoryError, match="link"):
            driver.mount(MountRequest(layer=top))
        if part == "diff":
            above = LayerID("f" * 64)
            driver.create(NewLayer(id=above, parent=base))
            (home(roots) / above / "lower").write_text(
                ":".join(f"l/{driver.link_of(layer)}" for layer in (top, base))
            )
            for use in (
                driver.open_diff,
                driver.open_merged,
                lambda one: driver.changes(one, base),
            ):
                with pytest.raises(LayerDirectoryError, match="link"):
                    use(top)
            with pytest.raises(LayerDirectoryError, match="link"):
                driver.open_merged(above)
        assert list(outside.iterdir()) == []

    def test_the_drivers_own_directories_are_no_layers(self, driver: Driver) -> None:
        for name in ("l", "staging", "tempdirs"):
            with pytest.raises(UnsafeNameError):
                driver.create(NewLayer(id=LayerID(name)))

    def test_a_layer_of_an_image_store_is_read_there_and_mounted_in_the_run_root(
        self, roots: Roots, tmp_path: Path
    ) -> None:
        images = str(tmp_path / "images")
        os.mkdir(images)
        options = DriverOptions(
            graph_root=str(roots.graph),
            run_root=str(roots.run),
            name="overlay",
            image_store=images,
        )
        driver = open_driver(options)
        driver.create(NewLayer(id=BASE))
        Path(driver.diff_directory(BASE), "file").touch()
        driver.create(NewLayer(id=TOP, parent=BASE, writable=True))
        assert driver.diff_directory(BASE) == f"{images}/overlay/{BASE}/diff"
        assert os.listdir(driver.mount(MountRequest(layer=TOP))) == ["file"]
        where = driver.mount(MountRequest(layer=BASE))
        assert where == f"{roots.run}/overlay/{BASE}/merged"
        with pytest.raises(OSError, match="Read-only"):
            Path(where, "new").touch()
        driver.unmount(BASE)
        assert not os.path.exists(os.path.dirname(where))

    def test_a_layer_of_an_additional_store_is_never_removed(
        self, roots: Roots, tmp_path: Path
    ) -> None:
        other = Roots(tmp_path / "other", roots.run)
        open_for(other, "overlay").create(NewLayer(id=BASE))
        driver = open_for(roots, "overlay", f"imagestore={other.graph}")
        assert driver.exists(BASE)
        trash = TrashDirectory(driver.new_trash_root(BASE))
        driver.remove(BASE, trash)
        trash.erase()
        assert driver.exists(BASE)


class TestImageStore:
    def test_a_read_only_layer_gets_other_owners_and_content_where_it_is(
        self, roots: Roots
    ) -> None:
        images = roots.graph.parent / "images"
        driver = open_driver(
            DriverOptions(
                graph_root=str(roots.graph),
                run_root=str(roots.run),
                name="overlay",
                image_store=str(images),
            )
        )
        staged = driver.stage(NewLayer(id=BASE))
        unpack(staged.place, archive(ociimage.Entry("file", b"x"), ociimage.Entry("gone", b"x")))
        staged.commit()
        driver.create_from_template(NewLayer(id=TOP), BASE)
        driver.remap(TOP, NO_MAPS, UPPER_IDS)
        place = driver.open_apply(TOP, None)
        unpack(place, archive(ociimage.Entry(".wh.gone", b"")))
        os.close(place.root)
        assert sorted(path.name for path in (images / "overlay").iterdir()) == [BASE, TOP, "l"]
        fd = driver.open_merged(TOP)
        assert os.listdir(f"/proc/self/fd/{fd}") == ["file"]
        assert os.stat("file", dir_fd=fd).st_uid == 100_000
        os.close(fd)


class TestCleanup:
    def test_the_mount_of_the_home_on_itself_goes_unless_someone_makes_a_layer(
        self, driver: Driver, roots: Roots
    ) -> None:
        driver.create(NewLayer(id=BASE, writable=True))
        edit_layer(driver, BASE, fill)
        assert mountinfo.at(str(home(roots))) is not None
        staged = open_for(roots, "overlay").stage(NewLayer(id=TOP))
        driver.cleanup()
        assert mountinfo.at(str(home(roots))) is not None
        staged.discard()
        driver.cleanup()
        assert mountinfo.at(str(home(roots))) is None
        driver.cleanup()

    def test_what_newer_go_tools_stage_stays_as_long_as_they_live(
        self, driver: Driver, roots: Roots
    ) -> None:
        driver.create(NewLayer(id=BASE))
        places = {name: home(roots) / "staging" / name for name in ("live", "dead", "new", "old")}
        for name, place in places.items():
            (place / "dir" / "content").mkdir(parents=True)
            if name in ("live", "dead"):
                (place / "staging.lock").touch()
        os.utime(places["old"], (1, 1))
        with open(places["live"] / "staging.lock", "rb+") as file:
            assert recordlock.try_lock(file.fileno(), exclusive=True)
            driver.cleanup()
            assert sorted(os.listdir(home(roots) / "staging")) == ["live", "new"]
            assert (places["live"] / "dir" / "content").exists()
        os.utime(places["new"], (1, 1))
        driver.cleanup()
        assert not (home(roots) / "staging").exists()

    def test_copies_that_a_crash_left_in_the_run_root_go(
        self, driver: Driver, roots: Roots
    ) -> None:
        driver.create(NewLayer(id=BASE))
        left = roots.run / "overlay" / "mapped-0123" / "0"
        left.mkdir(parents=True)
        mount.bind(str(home(roots)), str(left))
        driver.cleanup()
        assert mountinfo.at(str(left)) is None
        assert not left.parent.exists()
        assert driver.exists(BASE)


class TestChanges:
    def test_the_raw_content_is_shown_as_it_is(self, driver: Driver) -> None:
        driver.create(NewLayer(id=BASE, writable=True))
        edit_layer(driver, BASE, fill)
        driver.create(NewLayer(id=TOP, parent=BASE, writable=True))
        edit_layer(driver, TOP, lambda root: (root / "file").unlink())
        fd = driver.open_diff(TOP)
        assert fd is not None
        assert os.listdir(f"/proc/self/fd/{fd}") == ["file"]
        assert stat.S_ISCHR(os.stat("file", dir_fd=fd).st_mode)
        os.close(fd)

    def test_a_redirected_directory_is_compared_in_full(self, roots: Roots) -> None:
        driver = open_for(roots, "overlay", "overlay.mountopt=redirect_dir=on")
        driver.create(NewLayer(id=BASE, writable=True))
        edit_layer(driver, BASE, fill)
        driver.create(NewLayer(id=TOP, parent=BASE, writable=True))
        edit_layer(driver, TOP, lambda root: (root / "dir").rename(root / "moved"))
        moved = Path(driver.diff_directory(TOP), "moved")
        assert "trusted.overlay.redirect" in os.listxattr(moved)
        found = {(change.path, change.kind.name) for change in driver.changes(TOP, BASE)}
        assert (b"/moved/sub/file", "ADD") in found
        assert (b"/dir", "DELETE") in found
        inside = Path(driver.diff_directory(BASE), "dir").rglob("*")
        assert driver.diff_size(TOP, BASE) == sum(p.stat().st_size for p in inside if p.is_file())

    def test_a_copy_of_metadata_only_is_a_modification(self, roots: Roots) -> None:
        driver = open_for(roots, "overlay", "overlay.mountopt=metacopy=on")
        driver.create(NewLayer(id=BASE, writable=True))
        edit_layer(driver, BASE, fill)
        driver.create(NewLayer(id=TOP, parent=BASE, writable=True))
        edit_layer(driver, TOP, lambda root: (root / "other").chmod(0o600))
        assert "trusted.overlay.metacopy" in os.listxattr(Path(driver.diff_directory(TOP), "other"))
        assert driver.changes(TOP, BASE) == [Change(b"/other", ChangeKind.MODIFY, "f")]
        fd = driver.open_merged(TOP)
        file = os.open("other", os.O_RDONLY, dir_fd=fd)
        assert os.read(file, 10) == b"other"
        os.close(file)
        os.close(fd)

    def test_a_lower_link_that_leads_out_is_not_walked(self, driver: Driver, roots: Roots) -> None:
        (roots.graph.parent / "outside").mkdir()
        (roots.graph.parent / "outside" / "file").touch()
        driver.create(NewLayer(id=BASE, writable=True))
        os.symlink(roots.graph.parent / "outside", Path(driver.diff_directory(BASE), "dir"))
        driver.create(NewLayer(id=TOP, parent=BASE, writable=True))

        def replace(root: Path) -> None:
            (root / "dir").unlink()
            (root / "dir").mkdir()
            (root / "dir" / "file").touch()

        edit_layer(driver, TOP, replace)
        kinds = {change.path: change.kind.name for change in driver.changes(TOP, BASE)}
        assert kinds[b"/dir/file"] == "ADD"

    def test_what_a_middle_layer_hid_is_added_anew(self, driver: Driver) -> None:
        driver.create(NewLayer(id=BASE, writable=True))
        edit_layer(driver, BASE, fill)
        driver.create(NewLayer(id=CHILD, parent=BASE, writable=True))
        edit_layer(driver, CHILD, lambda root: (root / "file").unlink())
        driver.create(NewLayer(id=TOP, parent=CHILD, writable=True))
        edit_layer(driver, TOP, lambda root: (root / "file").write_text("again"))
        assert driver.changes(TOP, CHILD) == [Change(b"/file", ChangeKind.ADD, "f")]
