"""The overlay driver against the suite, and what is its own: chains, links, hostile content."""

import os
import stat
from pathlib import Path

import pytest

from drivers.erase import erase_tree
from drivers.errors import (
    DriverNotSupportedError,
    LayerDirectoryError,
    MountFailedError,
    TooManyLayersError,
    UnsafeNameError,
)
from drivers.idmap.maps import NO_MAPS
from drivers.ids import LayerID
from drivers.linux import mount, mountinfo, recordlock
from drivers.protocol import Change, ChangeKind, Driver, DriverOptions, MountRequest, NewLayer
from drivers.registry import open_driver
from drivers.trash import TrashDirectory
from tests.conformance.driver_suite import (
    BASE,
    CHILD,
    OTHER_IDS,
    TOP,
    UPPER_IDS,
    DriverSuite,
    archive,
    edit_layer,
    fill,
    open_for,
    unpack,
)
from tests.support import ociimage
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


def make_chain(driver: Driver, length: int) -> list[LayerID]:
    layers: list[LayerID] = []
    for number in range(length):
        layer = LayerID(f"{number:064x}")
        parent = layers[-1] if layers else None
        driver.create(NewLayer(id=layer, parent=parent))
        Path(driver.diff_directory(layer), f"file{number}").touch()
        layers.append(layer)
    return layers


def create_until_full(driver: Driver, made: list[LayerID]) -> None:
    while True:
        layer = LayerID(f"{len(made):064x}")
        driver.create(NewLayer(id=layer, writable=True))
        made.append(layer)


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


class TestMounting:
    def test_the_mount_table_shows_what_the_go_tools_would_have_written(
        self, driver: Driver, roots: Roots
    ) -> None:
        base, child = make_chain(driver, 2)
        del base
        driver.create(NewLayer(id=TOP, parent=child, writable=True))
        target = driver.mount(MountRequest(layer=TOP))
        assert target == f"{home(roots)}/{TOP}/merged"
        entry = mountinfo.at(target)
        assert entry is not None
        shorts = [(home(roots) / layer / "link").read_text() for layer in (child, f"{0:064x}")]
        lower = ":".join(f"{home(roots)}/l/{short}" for short in shorts)
        told = entry.super_options.split(",")
        assert f"lowerdir={lower}" in told
        assert f"upperdir={home(roots)}/{TOP}/diff" in told
        assert mountinfo.at(str(home(roots))) is not None

    def test_five_hundred_layers_mount_and_one_more_is_refused(self, driver: Driver) -> None:
        layers = make_chain(driver, 500)
        fd = driver.open_merged(layers[-1])
        assert len(os.listdir(f"/proc/self/fd/{fd}")) == 500
        os.close(fd)
        driver.create(NewLayer(id=TOP, parent=layers[-1], writable=True))
        root = Path(driver.mount(MountRequest(layer=TOP)))
        assert len(os.listdir(root)) == 500
        (root / "written").touch()
        driver.unmount(TOP)
        with pytest.raises(TooManyLayersError):
            driver.open_merged(TOP)

    def test_paths_around_the_size_of_a_page_mount(self, roots: Roots) -> None:
        page = os.sysconf("SC_PAGE_SIZE")
        driver = open_for(roots, "overlay")
        per_layer = len(f"{home(roots)}/l/") + 27
        layers = make_chain(driver, page // per_layer + 3)
        for layer in layers[-6:]:
            top = LayerID("f" * 32 + layer[-32:])
            driver.create(NewLayer(id=top, parent=layer, writable=True))
            root = driver.mount(MountRequest(layer=top))
            assert len(os.listdir(root)) == int(layer, 16) + 1
            driver.unmount(top)

    @pytest.mark.parametrize(
        "name", ["with:colon", "with,comma", "with blank", "b\\slash", "x" * 250]
    )
    def test_any_graph_root_mounts(self, tmp_path: Path, roots: Roots, name: str) -> None:
        odd = Roots(tmp_path / name / "graph", roots.run)
        driver = open_for(odd, "overlay")
        layers = make_chain(driver, 2)
        driver.create(NewLayer(id=TOP, parent=layers[-1], writable=True))
        root = Path(driver.mount(MountRequest(layer=TOP)))
        (root / "new").touch()
        assert len(os.listdir(root)) == 3
        fd = driver.open_merged(TOP)
        assert len(os.listdir(f"/proc/self/fd/{fd}")) == 3
        os.close(fd)

    def test_a_layer_that_is_mounted_for_writing_can_be_viewed(self, driver: Driver) -> None:
        driver.create(NewLayer(id=BASE, writable=True))
        root = Path(driver.mount(MountRequest(layer=BASE)))
        (root / "file").write_text("x")
        fd = driver.open_merged(BASE)
        assert os.listdir(f"/proc/self/fd/{fd}") == ["file"]
        os.close(fd)

    def test_a_mount_point_that_is_a_link_is_refused(self, driver: Driver, tmp_path: Path) -> None:
        driver.create(NewLayer(id=BASE, writable=True))
        merged = Path(driver.diff_directory(BASE)).with_name("merged")
        merged.rmdir()
        merged.symlink_to(tmp_path)
        with pytest.raises(LayerDirectoryError, match="link"):
            driver.mount(MountRequest(layer=BASE))
        assert mountinfo.at(str(tmp_path)) is None

    def test_a_full_file_system_gets_no_half_layer_and_can_be_emptied(
        self, roots: Roots, tmp_path: Path
    ) -> None:
        small = tmp_path / "small"
        small.mkdir()
        mount.mount("small", str(small), "tmpfs", 0, "size=512k,nr_inodes=40")
        driver = open_for(Roots(small / "graph", roots.run), "overlay")
        made: list[LayerID] = []
        with pytest.raises(OSError, match="No space"):
            create_until_full(driver, made)
        assert list(driver.list_layers()) == made
        assert len(os.listdir(small / "graph" / "overlay" / "l")) == len(made)
        try:
            for number in range(40):
                (small / str(number)).touch()
        except OSError:
            pass
        for layer in made:
            trash = TrashDirectory(driver.new_trash_root(layer))
            driver.remove(layer, trash)
            trash.erase()
        assert list(driver.list_layers()) == []
        assert os.listdir(small / "graph" / "overlay" / "l") == []

    def test_options_become_flags_of_the_mount(self, roots: Roots) -> None:
        driver = open_for(roots, "overlay", "overlay.mountopt=nodev,noexec")
        driver.create(NewLayer(id=BASE, writable=True))
        entry = mountinfo.at(driver.mount(MountRequest(layer=BASE)))
        assert entry is not None
        assert {"nodev", "noexec", "rw"} <= set(entry.options.split(","))
        driver.unmount(BASE)
        entry = mountinfo.at(driver.mount(MountRequest(layer=BASE, options=("nosuid", "ro"))))
        assert entry is not None
        assert {"nosuid", "ro"} <= set(entry.options.split(","))
        assert "nodev" not in entry.options.split(",")

    def test_a_volatile_mount_can_be_made_again_after_a_crash(self, driver: Driver) -> None:
        driver.create(NewLayer(id=BASE))
        driver.create(NewLayer(id=TOP, parent=BASE, writable=True))
        request = MountRequest(layer=TOP, volatile=True)
        target = driver.mount(request)
        entry = mountinfo.at(target)
        assert entry is not None
        assert "volatile" in entry.super_options  # newer kernels say fsync=volatile
        Path(target, "file").touch()
        mount.umount(target, mount.MNT_DETACH)
        assert driver.mount(request) == target

    def test_the_kernels_refusal_names_place_and_reason(self, roots: Roots) -> None:
        driver = open_for(roots, "overlay", "overlay.mountopt=nonsense=1")
        driver.create(NewLayer(id=BASE, writable=True))
        with pytest.raises(MountFailedError) as caught:
            driver.mount(MountRequest(layer=BASE))
        assert caught.value.target.endswith("merged")
        with pytest.raises(MountFailedError, match="nonsense"):
            driver.open_merged(BASE)

    def test_opening_and_listing_try_nothing_and_the_first_need_is_remembered(
        self, roots: Roots
    ) -> None:
        driver = open_for(roots, "overlay")
        make_chain(driver, 2)
        driver.list_layers()
        assert not roots.run.exists()
        assert ("Native Overlay Diff", "true") in driver.status()
        assert sorted(os.listdir(roots.run / "overlay")) == ["native-diff()-true", "overlay-true"]
        assert "staging" not in os.listdir(home(roots))

    @pytest.mark.parametrize("option", ["use_composefs=true", "force_mask=shared"])
    def test_a_format_that_we_do_not_speak_is_refused(self, roots: Roots, option: str) -> None:
        driver = open_for(roots, "overlay", f"overlay.{option}")
        with pytest.raises(DriverNotSupportedError, match=option.partition("=")[0]):
            driver.create(NewLayer(id=BASE, writable=True))
        assert not roots.graph.exists()

    def test_a_quota_is_refused(self, roots: Roots) -> None:
        driver = open_for(roots, "overlay", "overlay.size=1G")
        with pytest.raises(DriverNotSupportedError, match="quota"):
            driver.create(NewLayer(id=BASE, writable=True))
        driver.create(NewLayer(id=BASE))


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
