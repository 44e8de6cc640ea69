"""What every driver must do, as test cases; a subject supplies the fixture ``driver``.

Used by: test_driver_overlay, test_driver_vfs. Also the edits that the comparison with the Go
tools makes. Knows nothing of: how a driver stores a layer.
"""

import os
import socket
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from drivers.errors import (
    DriverOptionError,
    LayerDirectoryError,
    LayerExistsError,
    UnsafeNameError,
)
from drivers.ids import LayerID
from drivers.linux import mount, mountinfo
from drivers.protocol import Driver, DriverOptions, MountRequest, NewLayer
from drivers.registry import open_driver
from drivers.trash import TrashDirectory
from tests.support.gotools import Roots

BASE, CHILD, TOP = LayerID("b" * 64), LayerID("c" * 64), LayerID("d" * 64)


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


class DriverSuite:
    """Subclass it and give a fixture ``driver`` with the roots of the test."""

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

    def test_a_private_view_shows_the_layer_and_cannot_be_written(self, driver: Driver) -> None:
        self.chain(driver)
        before = mountinfo.read()
        fd = driver.open_merged(CHILD)
        root = os.open(".", os.O_RDONLY, dir_fd=fd)
        file = os.open("dir/file", os.O_RDONLY, dir_fd=root)
        assert os.read(file, 100) == b"child"
        with pytest.raises(OSError, match="Read-only"):
            os.mkdir("new", dir_fd=root)
        assert mountinfo.read() == before
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

    def test_an_unknown_option_is_refused_by_name(self, roots: Roots, driver: Driver) -> None:
        with pytest.raises(DriverOptionError, match="nonsense"):
            open_for(roots, driver.name, f"{driver.name}.nonsense=1")

    def test_a_read_only_driver_reads(self, roots: Roots, driver: Driver) -> None:
        self.chain(driver)
        reader = open_for(roots, driver.name, read_only=True)
        assert set(reader.list_layers()) == {BASE, CHILD, TOP}
        os.close(reader.open_merged(CHILD))
        assert reader.changes(CHILD, BASE)
