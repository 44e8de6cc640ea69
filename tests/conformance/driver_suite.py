"""What every driver must do, as test cases; a subject supplies the fixture ``driver``.

Used by: test_driver_overlay, test_driver_vfs, test_driver_btrfs. Also the edits that the comparison
with the Go tools makes. Knows nothing of: how a driver stores a layer.
"""

import io
import os
import socket
import stat
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from drivers.archive.apply import apply
from drivers.archive.unpack import Unpacker, UnpackOptions
from drivers.erase import erase_tree
from drivers.errors import (
    DriverOptionError,
    IDMapError,
    LayerDirectoryError,
    LayerExistsError,
    UnsafeNameError,
)
from drivers.idmap.maps import NO_MAPS, IDMap, MapPair
from drivers.ids import LayerID
from drivers.linux import mount, mountinfo
from drivers.protocol import ApplyPlace, Driver, DriverOptions, MountRequest, NewLayer
from drivers.registry import open_driver
from drivers.trash import TrashDirectory
from tests.support import ociimage, process
from tests.support.gotools import Roots

BASE, CHILD, TOP = LayerID("b" * 64), LayerID("c" * 64), LayerID("d" * 64)
NEXT = LayerID("e" * 64)
CAPABILITY = bytes.fromhex("0100000200200000000000000000000000000000")
"""cap_net_raw=ep, as setcap(8) stores it."""


def open_for(roots: Roots, name: str, *options: str, read_only: bool = False) -> Driver:
    """A driver on the test's own roots."""
    return open_driver(
        DriverOptions(
            graph_root=str(roots.graph),
            run_root=str(roots.run),
            name=name,
            options=options,
            read_only=read_only,
        )
    )


def mounts_of(roots: Roots) -> list[mountinfo.MountEntry]:
    """What is mounted on the roots of a test; other tests mount theirs at the same time."""
    places = roots.graph, roots.run
    return [entry for place in places for entry in mountinfo.below(str(place))]


def fill(root: Path) -> None:
    """Give a base layer one of everything."""
    (root / "dir" / "sub").mkdir(parents=True)
    for name in ("file", "other", "dir/file", "dir/sub/file", "name with blank", "ünïcode"):
        (root / name).write_text(name)
    (root / "replaced").mkdir()
    (root / "replaced" / "old").write_text("old")
    (root / "empty").mkdir()
    os.symlink("file", root / "link")
    os.link(root / "file", root / "hard")
    os.mkfifo(root / "fifo")
    os.mknod(root / "null", 0o666 | stat.S_IFCHR, os.makedev(1, 3))
    os.setxattr(root / "other", "user.kept", b"1")
    (root / "setuid").write_text("x")
    (root / "setuid").chmod(0o4755)
    os.chown(root / "dir" / "file", 1000, 1000)


def _replace_directory(root: Path) -> None:
    (root / "replaced" / "old").unlink()
    (root / "replaced").rmdir()
    (root / "replaced").mkdir()
    (root / "replaced" / "new").write_text("new")


def _bind_socket(root: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listening:
        fd = os.open(root, os.O_PATH)
        listening.bind(f"/proc/self/fd/{fd}/socket")
        os.close(fd)


def _directory_becomes_file(root: Path) -> None:
    (root / "dir" / "sub" / "file").unlink()
    (root / "dir" / "sub").rmdir()
    (root / "dir" / "sub").write_text("now a file")


def _file_becomes_directory(root: Path) -> None:
    (root / "file").unlink()
    (root / "file").mkdir()
    (root / "file" / "inside").write_text("x")


EDITS: dict[str, Callable[[Path], object]] = {
    "nothing": lambda _: None,
    "add a file": lambda root: (root / "new").write_text("new"),
    "add a file in a directory": lambda root: (root / "dir" / "sub" / "new").write_text("new"),
    "add a tree": lambda root: (root / "a" / "b" / "c").mkdir(parents=True),
    "write to a file": lambda root: (root / "dir" / "file").write_text("something longer"),
    "delete a file": lambda root: (root / "dir" / "file").unlink(),
    "delete a link": lambda root: (root / "link").unlink(),
    "delete a directory": lambda root: (root / "empty").rmdir(),
    "replace a directory": _replace_directory,
    "directory becomes file": _directory_becomes_file,
    "file becomes directory": _file_becomes_directory,
    "file becomes link": lambda root: ((root / "other").unlink(), (root / "other").symlink_to("x")),
    "rename a file": lambda root: (root / "other").rename(root / "dir" / "renamed"),
    "one more hard link": lambda root: os.link(root / "hard", root / "harder"),
    "write through a hard link": lambda root: (root / "hard").write_text("both names"),
    "a named pipe": lambda root: os.mkfifo(root / "pipe"),
    "a device": lambda root: os.mknod(root / "zero", 0o600 | stat.S_IFCHR, os.makedev(1, 5)),
    "a socket": _bind_socket,
    "mode of a file": lambda root: (root / "dir" / "file").chmod(0o600),
    "mode of a directory": lambda root: (root / "dir").chmod(0o700),
    "owner of a file": lambda root: os.chown(root / "file", 7, 7),
    "only a time": lambda root: os.utime(root / "dir" / "file", (1, 1)),
    "a name with a line feed": lambda root: (root / "a\nb\\c").write_text("x"),
    "a name that is no text": lambda root: Path(os.fsdecode(bytes(root) + b"/\xff")).touch(),
}


def edit_layer(driver: Driver, layer: LayerID, edit: Callable[[Path], object]) -> None:
    """Change a writable layer through its mount."""
    edit(Path(driver.mount(MountRequest(layer=layer))))
    driver.unmount(layer)


def assert_nothing_is_left(driver: Driver) -> None:
    """No place where things are made or erased has anything in it."""
    for name in ("staging", "tempdirs"):
        assert not os.path.exists(os.path.join(driver.home, name))


def archive(*entries: ociimage.Entry) -> bytes:
    """An uncompressed archive, as a layer comes from a registry."""
    return ociimage.layer_tar(entries)


def unpack(place: ApplyPlace, content: bytes) -> None:
    """Unpack an archive in the place that a driver gave."""
    options = UnpackOptions(xattr_prefix=place.xattr_prefix)
    with Unpacker(place.root, whiteouts=place.whiteouts, options=options) as sink:
        apply(io.BytesIO(content), sink, io.BytesIO())


def show(driver: Driver, layer: LayerID) -> dict[str, str]:
    """The files of the merged view, with their content."""
    fd = driver.open_merged(layer)
    try:
        return {
            os.path.relpath(os.path.join(where, name), f"/proc/self/fd/{fd}"): Path(
                where, name
            ).read_text()
            for where, _, names in os.walk(f"/proc/self/fd/{fd}")
            for name in names
            if Path(where, name).is_file()
        }
    finally:
        os.close(fd)


NEW = archive(
    ociimage.Entry("dir"),
    ociimage.Entry("dir/file", b"from the archive"),
    ociimage.Entry(".wh.other", b""),
    ociimage.Entry("replaced"),
    ociimage.Entry("replaced/.wh..wh..opq", b""),
    ociimage.Entry("replaced/new", b"new"),
)
"""A layer on top of what :func:`fill` makes: it adds, removes and replaces."""

UPPER_IDS: MapPair = ((IDMap(0, 100_000, 3000),), (IDMap(0, 200_000, 3000),))
OTHER_IDS: MapPair = ((IDMap(0, 500_000, 2000),), (IDMap(0, 600_000, 2000),))


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
