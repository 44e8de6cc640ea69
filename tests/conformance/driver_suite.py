"""What every driver must do, as test cases; a subject supplies the fixture ``driver``.

Used by: test_driver_overlay, test_driver_vfs, test_driver_btrfs, test_driver_program.
Knows nothing of: how a driver stores a layer.
"""

import os
import stat
import sys
from pathlib import Path

import pytest

from drivers.erase import erase_tree
from drivers.errors import (
    DriverOptionError,
    IDMapError,
    LayerDirectoryError,
    LayerExistsError,
    UnsafeNameError,
)
from drivers.idmap.maps import NO_MAPS
from drivers.ids import LayerID
from drivers.linux import mount, mountinfo
from drivers.protocol import Driver, MountRequest, NewLayer
from drivers.trash import TrashDirectory
from tests.support import ociimage, process
from tests.support.driverlayers import (
    BASE,
    CAPABILITY,
    CHILD,
    NEW,
    NEXT,
    OTHER_IDS,
    TOP,
    UPPER_IDS,
    archive,
    assert_nothing_is_left,
    edit_layer,
    fill,
    mounts_of,
    open_for,
    show,
    unpack,
)
from tests.support.gotools import Roots


class DriverSuite:
    """Subclass it and give a fixture ``driver`` that works on the roots of the test.

    A driver that needs a file system of its own overrides the fixture ``roots`` as well.
    """

    def chain(self, driver: Driver) -> None:
        """A base layer with content, a child that changes a little, a writable top."""
        driver.create(NewLayer(id=BASE, writable=True))
        edit_layer(driver, BASE, fill)
        driver.create(NewLayer(id=CHILD, parent=BASE, writable=True))
        edit_layer(driver, CHILD, lambda root: (root / "dir" / "file").write_text("child"))
        driver.create(NewLayer(id=TOP, parent=CHILD, writable=True))

    def test_opening_creates_nothing(self, driver: Driver, roots: Roots) -> None:
        assert list(driver.list_layers()) == []
        assert not roots.graph.exists()

    def test_a_new_layer_exists_and_is_listed(self, driver: Driver) -> None:
        driver.create(NewLayer(id=BASE))
        assert driver.exists(BASE)
        assert not driver.exists(CHILD)
        assert list(driver.list_layers()) == [BASE]

    def test_a_new_base_layer_is_an_empty_directory_that_nobody_may_write(
        self, driver: Driver
    ) -> None:
        driver.create(NewLayer(id=BASE))
        status = os.stat(driver.diff_directory(BASE))
        assert stat.S_IMODE(status.st_mode) == 0o555
        assert (status.st_uid, status.st_gid) == (os.geteuid(), os.getegid())
        assert os.listdir(driver.diff_directory(BASE)) == []

    def test_nobody_else_can_look_into_the_home(self, driver: Driver) -> None:
        staged = driver.stage(NewLayer(id=BASE))
        assert stat.S_IMODE(os.stat(driver.home).st_mode) == 0o700
        staged.discard()
        erase_tree(driver.home)
        driver.create(NewLayer(id=BASE))
        assert stat.S_IMODE(os.stat(driver.home).st_mode) == 0o700

    def test_a_child_has_mode_and_owner_of_its_parent(self, driver: Driver) -> None:
        driver.create(NewLayer(id=BASE))
        os.chown(driver.diff_directory(BASE), 5, 6)
        os.chmod(driver.diff_directory(BASE), 0o751)
        driver.create(NewLayer(id=CHILD, parent=BASE))
        status = os.stat(driver.diff_directory(CHILD))
        assert (stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid) == (0o751, 5, 6)

    def test_a_layer_is_not_created_twice(self, driver: Driver) -> None:
        driver.create(NewLayer(id=BASE))
        with pytest.raises(LayerExistsError):
            driver.create(NewLayer(id=BASE))
        assert driver.exists(BASE)

    def test_a_missing_parent_leaves_nothing_behind(self, driver: Driver) -> None:
        with pytest.raises(LayerDirectoryError) as caught:
            driver.create(NewLayer(id=CHILD, parent=BASE))
        assert caught.value.layer == BASE
        assert caught.value.remedy
        assert not driver.exists(CHILD)

    @pytest.mark.parametrize("name", ["", ".", "..", "a/b", "../x", "x" * 256, "a\0b"])
    def test_an_id_that_is_no_file_name_is_refused(self, driver: Driver, name: str) -> None:
        with pytest.raises(UnsafeNameError):
            driver.create(NewLayer(id=LayerID(name)))
        with pytest.raises(UnsafeNameError):
            driver.mount(MountRequest(layer=LayerID(name)))
        assert not driver.exists(LayerID(name))
        driver.remove(LayerID(name), TrashDirectory(driver.new_trash_root(LayerID(name))))

    def test_what_is_written_through_a_mount_is_there_in_the_next_one(self, driver: Driver) -> None:
        self.chain(driver)
        root = Path(driver.mount(MountRequest(layer=TOP)))
        assert (root / "dir" / "file").read_text() == "child"
        (root / "new").write_text("x")
        driver.unmount(TOP)
        root = Path(driver.mount(MountRequest(layer=TOP)))
        assert (root / "new").read_text() == "x"
        driver.unmount(TOP)

    def test_mounting_twice_and_unmounting_twice_are_no_errors(self, driver: Driver) -> None:
        self.chain(driver)
        first = driver.mount(MountRequest(layer=TOP))
        assert driver.mount(MountRequest(layer=TOP)) == first
        driver.unmount(TOP)
        driver.unmount(TOP)
        assert not driver.is_mounted(first)

    def test_unmounting_what_lost_its_directory_is_no_error(self, driver: Driver) -> None:
        driver.unmount(BASE)

    def test_a_mount_of_a_missing_layer_names_it(self, driver: Driver) -> None:
        with pytest.raises(LayerDirectoryError) as caught:
            driver.mount(MountRequest(layer=TOP))
        assert caught.value.layer == TOP
        assert TOP in caught.value.path

    def test_a_private_view_shows_the_layer_and_cannot_be_written(
        self, driver: Driver, roots: Roots
    ) -> None:
        self.chain(driver)
        before = mounts_of(roots)
        fd = driver.open_merged(CHILD)
        root = os.open(".", os.O_RDONLY, dir_fd=fd)
        file = os.open("dir/file", os.O_RDONLY, dir_fd=root)
        assert os.read(file, 100) == b"child"
        with pytest.raises(OSError, match="Read-only"):
            os.mkdir("new", dir_fd=root)
        assert mounts_of(roots) == before
        for opened in (file, root, fd):
            os.close(opened)

    def test_a_private_view_can_be_attached_and_is_nosuid_and_nodev(
        self, driver: Driver, tmp_path: Path
    ) -> None:
        self.chain(driver)
        for layer in (BASE, CHILD):
            (tmp_path / layer).mkdir()
            fd = driver.open_merged(layer)
            mount.move_mount(fd, str(tmp_path / layer))
            os.close(fd)
            entry = mountinfo.at(str(tmp_path / layer))
            assert entry is not None
            assert {"ro", "nosuid", "nodev"} <= set(entry.options.split(","))
            assert (tmp_path / layer / "dir" / "sub" / "file").read_text() == "dir/sub/file"
            mount.umount(str(tmp_path / layer))

    def test_a_removed_layer_is_gone_at_once_and_leaves_nothing(self, driver: Driver) -> None:
        self.chain(driver)
        driver.mount(MountRequest(layer=TOP))
        trash = TrashDirectory(driver.new_trash_root(TOP))
        driver.remove(TOP, trash)
        assert not driver.exists(TOP)
        assert TOP not in driver.list_layers()
        trash.erase()
        assert driver.changes(CHILD, BASE)
        assert not os.path.exists(driver.new_trash_root(TOP))

    def test_removing_what_is_not_there_is_no_error(self, driver: Driver) -> None:
        driver.remove(TOP, TrashDirectory(driver.new_trash_root(TOP)))
        assert not os.path.exists(driver.new_trash_root(TOP))

    def test_a_link_in_the_place_of_a_layer_goes_with_it(self, driver: Driver) -> None:
        driver.create(NewLayer(id=BASE))
        place = os.path.join(driver.home, getattr(driver, "directory_name", ""), BASE)
        os.rename(place, f"{place}.old")
        os.symlink(f"{place}.old", place)
        driver.remove(BASE, TrashDirectory(driver.new_trash_root(BASE)))
        driver.create(NewLayer(id=BASE))
        assert os.path.isdir(f"{place}.old")

    def test_a_base_layer_only_adds(self, driver: Driver) -> None:
        self.chain(driver)
        changes = driver.changes(BASE, None)
        assert {change.kind.name for change in changes} == {"ADD"}
        paths = [change.path for change in changes]
        assert paths == sorted(paths)
        assert b"/dir/sub/file" in paths

    def test_changes_against_a_grandparent_are_those_of_both_layers(self, driver: Driver) -> None:
        self.chain(driver)
        edit_layer(driver, TOP, lambda root: (root / "link").unlink())
        found = {
            (change.path, change.kind.name, change.type) for change in driver.changes(TOP, BASE)
        }
        assert (b"/dir/file", "MODIFY", "f") in found
        assert (b"/link", "DELETE", "l") in found
        assert all(path in (b"/dir", b"/dir/file", b"/link") for path, _, _ in found)

    def test_a_staged_layer_is_there_at_once_when_it_is_committed(self, driver: Driver) -> None:
        self.chain(driver)
        staged = driver.stage(NewLayer(id=NEXT, parent=CHILD))
        unpack(staged.place, NEW)
        assert not driver.exists(NEXT)
        assert set(driver.list_layers()) == {BASE, CHILD, TOP}
        staged.commit()
        shown = show(driver, NEXT)
        assert shown["dir/file"] == "from the archive"
        assert shown["dir/sub/file"] == "dir/sub/file"
        assert shown["replaced/new"] == "new"
        assert not {"other", "replaced/old"} & set(shown)
        assert show(driver, CHILD)["dir/file"] == "child"
        staged.discard()
        assert driver.exists(NEXT)
        assert_nothing_is_left(driver)

    def test_a_staged_base_layer_has_the_mode_of_an_empty_one(self, driver: Driver) -> None:
        staged = driver.stage(NewLayer(id=BASE))
        unpack(staged.place, archive(ociimage.Entry("file", b"x")))
        staged.commit()
        assert stat.S_IMODE(os.stat(driver.diff_directory(BASE)).st_mode) == 0o555
        assert show(driver, BASE) == {"file": "x"}

    def test_what_is_discarded_was_never_there(self, driver: Driver) -> None:
        self.chain(driver)
        before = show(driver, CHILD)
        staged = driver.stage(NewLayer(id=NEXT, parent=CHILD))
        unpack(staged.place, NEW)
        staged.discard()
        staged.discard()
        assert not driver.exists(NEXT)
        assert show(driver, CHILD) == before
        assert_nothing_is_left(driver)

    def test_a_staged_layer_whose_id_was_taken_meanwhile_is_refused(self, driver: Driver) -> None:
        staged = driver.stage(NewLayer(id=BASE))
        unpack(staged.place, archive(ociimage.Entry("file", b"staged")))
        driver.create(NewLayer(id=BASE))
        with pytest.raises(LayerExistsError):
            staged.commit()
        staged.discard()
        assert show(driver, BASE) == {}
        assert_nothing_is_left(driver)

    def test_staging_on_a_missing_parent_names_it_and_leaves_nothing(self, driver: Driver) -> None:
        with pytest.raises(LayerDirectoryError) as caught:
            driver.stage(NewLayer(id=CHILD, parent=BASE))
        assert caught.value.layer == BASE
        assert_nothing_is_left(driver)

    def test_cleanup_leaves_alone_what_is_being_staged(self, driver: Driver, roots: Roots) -> None:
        staged = driver.stage(NewLayer(id=BASE))
        unpack(staged.place, archive(ociimage.Entry("file", b"x")))
        open_for(roots, driver.name).cleanup()
        staged.commit()
        assert show(driver, BASE) == {"file": "x"}

    def test_cleanup_erases_what_a_dead_process_staged(self, driver: Driver, roots: Roots) -> None:
        driver.create(NewLayer(id=BASE))
        code = (
            "import os, sys; from drivers.registry import open_driver;"
            "from drivers.protocol import DriverOptions, NewLayer; from drivers.ids import LayerID;"
            "driver = open_driver(DriverOptions(graph_root=sys.argv[1], run_root=sys.argv[2],"
            " name=sys.argv[3]));"
            "staged = driver.stage(NewLayer(id=LayerID('e' * 64), parent=LayerID('b' * 64)));"
            "os.mkdir('left', dir_fd=staged.place.root); os._exit(0)"
        )
        process.run(
            [sys.executable, "-c", code, str(roots.graph), str(roots.run), driver.name], timeout=30
        )
        assert list(roots.graph.rglob("left"))
        driver.cleanup()
        assert not list(roots.graph.rglob("left"))
        assert_nothing_is_left(driver)
        assert list(driver.list_layers()) == [BASE]

    def test_an_archive_is_applied_to_an_existing_layer(self, driver: Driver) -> None:
        self.chain(driver)
        place = driver.open_apply(TOP, CHILD)
        unpack(place, NEW)
        os.close(place.root)
        shown = show(driver, TOP)
        assert shown["dir/file"] == "from the archive"
        assert not {"other", "replaced/old"} & set(shown)

    def test_a_layer_from_a_template_shows_what_the_template_shows(self, driver: Driver) -> None:
        self.chain(driver)
        driver.create_from_template(NewLayer(id=NEXT, parent=BASE), CHILD)
        assert show(driver, NEXT) == show(driver, CHILD)
        place = driver.open_apply(NEXT, BASE)
        unpack(place, NEW)
        os.close(place.root)
        shown = show(driver, NEXT)
        assert shown["dir/file"] == "from the archive"
        assert not {"other", "replaced/old"} & set(shown)
        assert show(driver, CHILD)["replaced/old"] == "old"

    def test_all_owners_change_and_nothing_else(self, driver: Driver) -> None:
        self.chain(driver)
        root = Path(driver.mount(MountRequest(layer=CHILD)))
        os.setxattr(root / "other", "security.capability", CAPABILITY)
        driver.unmount(CHILD)
        driver.create_from_template(NewLayer(id=NEXT, parent=BASE), CHILD)
        driver.remap(NEXT, NO_MAPS, UPPER_IDS)
        before, fd = driver.open_merged(CHILD), driver.open_merged(NEXT)
        for name in ("file", "hard", "link", "fifo", "null"):
            times = [os.lstat(f"/proc/self/fd/{one}/{name}").st_mtime_ns for one in (before, fd)]
            assert times[0] == times[1], name
        os.close(before)
        view = Path(f"/proc/self/fd/{fd}")
        owners = {name: os.lstat(view / name)[4:6] for name in ("file", "dir/file", "link", "null")}
        assert owners.pop("dir/file") == (101_000, 201_000)
        assert set(owners.values()) == {(100_000, 200_000)}
        assert (view / "file").samefile(view / "hard")
        assert os.stat(view / "file").st_nlink == 2
        assert os.stat(view / "setuid").st_mode & 0o7777 == 0o4755
        assert os.getxattr(view / "other", "security.capability") == CAPABILITY
        assert os.getxattr(view / "other", "user.kept") == b"1"
        os.close(fd)
        assert show(driver, NEXT) == show(driver, CHILD)
        assert os.lstat(Path(driver.diff_directory(BASE), "file")).st_uid == 0

    def test_owners_go_from_one_map_to_another(self, driver: Driver) -> None:
        driver.create(NewLayer(id=BASE, writable=True))
        edit_layer(driver, BASE, fill)
        edit_layer(driver, BASE, lambda root: os.chown(root / "other", 2500, 0))
        driver.create_from_template(NewLayer(id=CHILD), BASE)
        driver.remap(CHILD, NO_MAPS, UPPER_IDS)
        driver.create_from_template(NewLayer(id=TOP), CHILD)
        driver.remap(TOP, UPPER_IDS, OTHER_IDS)
        driver.remap(TOP, OTHER_IDS, OTHER_IDS)
        fd = driver.open_merged(TOP)
        assert os.stat("dir/file", dir_fd=fd)[4:6] == (501_000, 601_000)
        assert os.stat("other", dir_fd=fd)[4:6] == (65534, 600_000)  # no range has it any more
        os.close(fd)
        assert show(driver, TOP) == show(driver, BASE)

    def test_an_owner_of_nobody_stops_a_change_of_owners(self, driver: Driver) -> None:
        driver.create(NewLayer(id=BASE, writable=True))
        edit_layer(driver, BASE, fill)
        with pytest.raises(IDMapError, match="dir/file"):
            driver.remap(BASE, OTHER_IDS, NO_MAPS)

    def test_files_are_read_by_the_names_of_the_archive(self, driver: Driver) -> None:
        self.chain(driver)
        content = driver.open_content(CHILD)
        for name, data in ((b"dir/file", b"child"), (b"./other", b"other"), (b"/file", b"file")):
            fd = content.open(name)
            assert os.read(fd, 100) == data
            os.close(fd)
        for name in (b"missing", b"dir", b"fifo", b"link", b"dir/file/x", b"null", b"", b"../.."):
            with pytest.raises(OSError):
                os.close(content.open(name))
        content.close()

    def test_names_and_links_in_a_layer_lead_nowhere_else(self, driver: Driver) -> None:
        driver.create(NewLayer(id=BASE, writable=True))
        outside = Path(driver.home).parent / "secret"
        outside.write_text("secret")
        edit_layer(driver, BASE, lambda root: (root / "out").symlink_to(outside.parent))
        edit_layer(driver, BASE, lambda root: (root / "up").symlink_to("../../../../.."))
        content = driver.open_content(BASE)
        climbing = b"../" * 20 + os.fsencode(outside)
        for name in (b"out/secret", b"up" + os.fsencode(outside), climbing, os.fsencode(outside)):
            with pytest.raises(OSError):
                os.close(content.open(name))
        content.close()

    def test_an_unknown_option_is_refused_by_name(self, roots: Roots, driver: Driver) -> None:
        with pytest.raises(DriverOptionError, match="nonsense"):
            open_for(roots, driver.name, f"{driver.name}.nonsense=1")

    def test_a_read_only_driver_reads(self, roots: Roots, driver: Driver) -> None:
        self.chain(driver)
        reader = open_for(roots, driver.name, read_only=True)
        assert set(reader.list_layers()) == {BASE, CHILD, TOP}
        os.close(reader.open_merged(CHILD))
        assert reader.changes(CHILD, BASE)
