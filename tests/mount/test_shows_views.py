"""Content that is not shown as stored: ids= and symlinks=, through a mounted tree."""

import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from backend import open_store
from tests.support import mounttable, process, smallstore
from tests.support.gotools import GoTools, Roots
from tests.support.mounted import Mounted

pytestmark = [pytest.mark.root, pytest.mark.overlay, pytest.mark.fuse]

MountStore = Callable[..., Mounted]

DRIVERS = ("overlay", "vfs")
"""For a container with a map the Go tools shift IDs with the one, and copy with the other."""

MAP = "0:300000:1000"


def mapped_store(roots: Roots, driver: str) -> None:
    """A small store, and in it a container that a Go tool made with a map."""
    smallstore.make(roots, driver)
    go = GoTools(roots, driver)
    maps = ("--uidmap", MAP, "--gidmap", MAP)
    go.storage("create-container", *maps, "--name", "mapped", smallstore.IMAGE)
    go.shutdown()


def owner_on_disk(roots: Roots, driver: str, name: str) -> tuple[int, int]:
    """Of a file that was made in the container."""
    with open_store(smallstore.options(roots, driver)) as store:
        container = store.cached().containers.find("mapped")
        assert container is not None
        status = os.stat(Path(store.driver.diff_directory(container.layer), name))
    return status.st_uid, status.st_gid


@pytest.mark.gotools
@pytest.mark.parametrize("driver", DRIVERS)
def test_owners_are_those_of_the_container_for_reading_and_writing(
    roots: Roots, mount_store: MountStore, driver: str
) -> None:
    mapped_store(roots, driver)
    mounted = mount_store(roots, "ids=container", driver=driver)
    rootfs = mounted.where / "containers/mapped/rootfs"

    process.run(["sh", "-c", f"echo y > {rootfs}/new; chown 5:6 {rootfs}/two"], timeout=20)
    listing = process.run(["ls", "-ln", str(rootfs)], timeout=20).stdout.decode()
    owners = {line.split()[-1]: line.split()[2:4] for line in listing.splitlines()[1:]}
    assert owners == {
        "bin": ["0", "0"],
        "etc": ["0", "0"],
        "new": ["0", "0"],
        "one": ["0", "0"],
        "set": ["0", "0"],
        "two": ["5", "6"],
    }
    assert mounttable.at(rootfs) is None
    assert os.stat(mounted.where / "containers/mapped/diff/new").st_uid == 0

    assert owner_on_disk(roots, driver, "new") == (300_000, 300_000)
    assert owner_on_disk(roots, driver, "two") == (300_005, 300_006)


@pytest.mark.gotools
@pytest.mark.parametrize("driver", DRIVERS)
def test_everything_is_the_mounting_users(
    roots: Roots, mount_store: MountStore, driver: str
) -> None:
    mapped_store(roots, driver)
    mounted = mount_store(roots, "ids=mounter", driver=driver)
    rootfs = mounted.where / "containers/mapped/rootfs"

    assert {os.lstat(entry).st_uid for entry in (rootfs, *rootfs.iterdir())} == {os.geteuid()}
    (rootfs / "new").write_text("y\n")
    assert os.stat(rootfs / "new").st_uid == os.geteuid()
    assert owner_on_disk(roots, driver, "new") == (300_000, 300_000)


def test_absolute_links_lead_into_the_root_file_system_not_to_the_host(
    roots: Roots, mount_store: MountStore
) -> None:
    small = smallstore.make(roots)
    with open_store(smallstore.options(roots)) as store:
        base = Path(store.driver.diff_directory(smallstore.BASE))
    (base / "etc/hostname").write_text("in the image\n")
    (base / "etc/direct").symlink_to("/etc/hostname")
    mounted = mount_store(roots, "symlinks=rebase")

    for place in (small.rootfs, small.web):
        etc = mounted.where / place / "etc"
        for name in ("direct", "outside"):
            assert (etc / name).read_text() == "in the image\n"
            status = os.lstat(etc / name)
            assert stat.S_ISLNK(status.st_mode)
            assert status.st_size == len(os.readlink(etc / name))
        assert os.readlink(etc / "direct") == "../etc/hostname"
        stored = os.getxattr(etc / "direct", "system.containers.target", follow_symlinks=False)
        assert stored == b"/etc/hostname"
        assert os.listxattr(etc / "direct", follow_symlinks=False) == []
        assert mounttable.at(mounted.where / place) is None
    assert os.readlink(mounted.where / small.diff / "etc/direct") == "/etc/hostname"
