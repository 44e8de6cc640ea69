"""The vfs driver stores full copies: its diff is computed, everything else is a native mount."""

import os
import stat
import subprocess
from collections.abc import Callable

import pytest

from tests.support import mounttable, process, smallstore
from tests.support.gotools import Roots
from tests.support.mounted import Mounted

pytestmark = [pytest.mark.root, pytest.mark.fuse]

MountStore = Callable[..., Mounted]


def test_diff_shows_only_what_changed_and_removals_as_whiteouts(
    roots: Roots, mount_store: MountStore
) -> None:
    smallstore.make(roots, driver="vfs")
    mounted = mount_store(roots, driver="vfs")
    diff = mounted.where / "layers" / smallstore.TOP / "diff"
    assert sorted(os.listdir(diff)) == ["gone", "two"]
    gone = os.lstat(diff / "gone")
    assert stat.S_ISCHR(gone.st_mode)
    assert gone.st_rdev == 0
    assert (diff / "two").read_text() == "2\n"
    assert not (diff / "one").exists()
    assert mounttable.at(diff) is None
    refused = process.run(["touch", str(diff / "x")], check=False)
    assert b"Read-only" in refused.stderr
    base = mounted.where / "layers" / smallstore.BASE / "diff"
    assert {"one", "gone", "etc", "bin"} <= set(os.listdir(base))
    assert (base / "etc/passwd").read_text().startswith("root")


def test_a_container_of_full_copies_is_natively_mounted(
    roots: Roots, mount_store: MountStore
) -> None:
    small = smallstore.make(roots, driver="vfs")
    mounted = mount_store(roots, driver="vfs")
    web = mounted.where / small.web
    process.run(["sh", "-c", f"echo x > {web}/new && cat {web}/one && rm {web}/two"], timeout=20)
    assert mounttable.at(web) is not None
    changed = mounted.where / "containers/web/diff"
    assert sorted(os.listdir(changed)) == ["new", "two"]
    assert process.run(["rmdir", str(web.parent)], timeout=20).returncode == 0


def test_directories_of_a_container_are_plain_and_writable(
    roots: Roots, mount_store: MountStore
) -> None:
    smallstore.make(roots, driver="vfs")
    mounted = mount_store(roots, driver="vfs")
    for name in ("userdata", "rundir"):
        directory = mounted.where / "containers/web" / name
        (directory / "f").write_text("x")
        assert os.listdir(directory) == ["f"]
        subprocess.run(["rm", str(directory / "f")], check=True, timeout=20)
