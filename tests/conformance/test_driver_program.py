"""Overlays mounted by fuse-overlayfs: the whole suite, and what is its own."""

import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from drivers.errors import DriverNotSupportedError, MountFailedError
from drivers.idmap.maps import IDMap
from drivers.linux import mountinfo
from drivers.powers import IDShift
from drivers.protocol import Driver, MountRequest, NewLayer, Whiteouts
from tests.conformance.driver_suite import DriverSuite
from tests.support.driverlayers import BASE, NEW, TOP, edit_layer, open_for, unpack
from tests.support.gotools import GoTools, Roots

PROGRAM = shutil.which("fuse-overlayfs") or ""
OPTION = f"overlay.mount_program={PROGRAM}"

pytestmark = [pytest.mark.root, pytest.mark.mount_program]


@pytest.fixture
def driver(roots: Roots) -> Driver:
    return open_for(roots, "overlay", OPTION)


class TestSuite(DriverSuite):
    """The suite, with the fixture of this module."""


def test_the_program_mounts_and_the_store_says_so_for_ever(driver: Driver, roots: Roots) -> None:
    driver.create(NewLayer(id=BASE, writable=True))
    assert (roots.graph / "overlay" / ".has-mount-program").read_text() == "true"
    entry = mountinfo.at(driver.mount(MountRequest(layer=BASE)))
    assert entry is not None
    assert entry.fstype == "fuse.fuse-overlayfs"
    driver.unmount(BASE)
    again = open_for(roots, "overlay")  # nobody configured it, but the content is the program's
    entry = mountinfo.at(again.mount(MountRequest(layer=BASE)))
    assert entry is not None
    assert entry.fstype == "fuse.fuse-overlayfs"
    again.unmount(BASE)


def test_markers_of_an_archive_stay_files_and_the_program_obeys_them(driver: Driver) -> None:
    driver.create(NewLayer(id=BASE, writable=True))
    edit_layer(driver, BASE, lambda root: (root / "other").write_text("x"))
    staged = driver.stage(NewLayer(id=TOP, parent=BASE, writable=True))
    assert staged.place.whiteouts is Whiteouts.KEEP
    unpack(staged.place, NEW)
    staged.commit()
    marker = os.lstat(Path(driver.diff_directory(TOP), ".wh.other"))
    assert stat.S_ISREG(marker.st_mode)
    assert not Path(driver.mount(MountRequest(layer=TOP)), "other").exists()
    driver.unmount(TOP)


def test_a_program_that_is_missing_or_refuses_is_named(roots: Roots) -> None:
    missing = open_for(roots, "overlay", "overlay.mount_program=/no/such/program")
    with pytest.raises(DriverNotSupportedError, match="/no/such/program"):
        missing.create(NewLayer(id=BASE))
    false = open_for(roots, "overlay", f"overlay.mount_program={shutil.which('false')}")
    false.create(NewLayer(id=BASE, writable=True))
    with pytest.raises(MountFailedError, match="false"):
        false.mount(MountRequest(layer=BASE))
    false.unmount(BASE)


def test_owners_are_mapped_by_the_program(driver: Driver) -> None:
    driver.create(NewLayer(id=BASE, writable=True))
    edit_layer(driver, BASE, lambda root: (root / "file").touch())
    driver.create(NewLayer(id=TOP, parent=BASE, writable=True))
    assert isinstance(driver, IDShift)
    users = (IDMap(0, 300_000, 1000), IDMap(1000, 301_000, 500))
    assert driver.shifts(users, users)
    assert not driver.shifts((IDMap(0, 300_000, 1000), IDMap(1000, 400_000, 500)), users)
    root = driver.mount(MountRequest(layer=TOP, uid_map=users, gid_map=users))
    status = os.stat(Path(root, "file"))
    assert (status.st_uid, status.st_gid) == (300_000, 300_000)
    driver.unmount(TOP)
    fd = driver.open_merged(TOP, users, users)
    assert os.stat("file", dir_fd=fd).st_uid == 300_000
    os.close(fd)


@pytest.mark.gotools
class TestWithTheGoTools:
    @pytest.fixture
    def tools(self, roots: Roots) -> Iterator[GoTools]:
        tools = GoTools(roots)
        yield tools
        tools.storage("--storage-opt", OPTION, "shutdown", check=False)

    def test_either_goes_on_where_the_other_stopped(self, tools: GoTools, roots: Roots) -> None:
        opt = ("--storage-opt", OPTION)
        base = tools.storage(*opt, "create-layer").strip()
        root = Path(tools.storage(*opt, "mount", base).strip())
        (root / "theirs").write_text("theirs")
        tools.storage(*opt, "unmount", base)
        driver = open_for(roots, "overlay")
        edit_layer(driver, base, lambda root: (root / "ours").write_text("ours"))
        top = tools.storage(*opt, "create-layer", base).strip()
        edit_layer(driver, top, lambda root: (root / "theirs").unlink())
        root = Path(tools.storage(*opt, "mount", top).strip())
        assert os.listdir(root) == ["ours"]
        tools.storage(*opt, "unmount", top)
        assert [change.path for change in driver.changes(top, base)] == [b"/theirs"]
