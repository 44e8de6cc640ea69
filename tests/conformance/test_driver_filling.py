"""An overlay layer that exists and is empty gets content that was prepared beside it."""

import os
import stat
from pathlib import Path

import pytest

from drivers.errors import LayerDirectoryError
from drivers.protocol import Driver, MountRequest, NewLayer, StagedLayer
from tests.conformance.driver_suite import assert_nothing_is_left, show
from tests.support.driverlayers import BASE, CHILD, TOP, archive, open_for, unpack
from tests.support.gotools import Roots
from tests.support.ociimage import EPOCH, Entry

pytestmark = [pytest.mark.root, pytest.mark.overlay]

CONTENT = archive(
    Entry("dir"), Entry("dir/file", b"x"), Entry("file", b"y"), Entry(".wh.gone", b"")
)


@pytest.fixture
def driver(roots: Roots) -> Driver:
    driver = open_for(roots, "overlay")
    driver.create(NewLayer(id=BASE, writable=True))
    driver.create(NewLayer(id=CHILD, parent=BASE, writable=True))
    return driver


def staged_with(driver: Driver, content: bytes) -> StagedLayer:
    """The content of CHILD, unpacked."""
    staged = driver.stage_into(CHILD, BASE)
    assert staged is not None
    unpack(staged.place, content)
    return staged


def test_nothing_shows_before_the_commit_and_all_of_it_afterwards(driver: Driver) -> None:
    staged = staged_with(driver, CONTENT)
    assert show(driver, CHILD) == {}
    staged.commit()
    assert show(driver, CHILD) == {"dir/file": "x", "file": "y"}
    whiteout = os.lstat(Path(driver.diff_directory(CHILD), "gone"))
    assert stat.S_ISCHR(whiteout.st_mode)
    assert_nothing_is_left(driver)


def test_the_directory_stays_so_that_a_mount_shows_the_content(driver: Driver) -> None:
    where = Path(driver.mount(MountRequest(CHILD)))
    try:
        staged_with(driver, CONTENT).commit()
        assert (where / "dir" / "file").read_text() == "x"
    finally:
        driver.unmount(CHILD)


def test_attributes_of_the_directory_stay_and_those_of_the_archive_count(driver: Driver) -> None:
    diff = driver.diff_directory(CHILD)
    os.chown(diff, 7, 8)
    os.chmod(diff, 0o711)
    os.setxattr(diff, "user.kept", b"1")
    before = os.stat(diff)
    staged_with(driver, archive(Entry(".wh..wh..opq", b""))).commit()
    after = os.stat(diff)
    assert (after.st_ino, after.st_mode) == (before.st_ino, before.st_mode)
    assert (after.st_uid, after.st_gid) == (7, 8)
    found = {name: os.getxattr(diff, name) for name in os.listxattr(diff)}
    assert found == {"user.kept": b"1", "trusted.overlay.opaque": b"y"}
    staged_with(driver, archive(Entry("/"), Entry("file", b"x"))).commit()
    named = os.stat(diff)
    assert (stat.S_IMODE(named.st_mode), named.st_uid, named.st_mtime) == (0o755, 0, EPOCH)


def test_what_is_discarded_leaves_the_layer_empty(driver: Driver) -> None:
    staged = staged_with(driver, CONTENT)
    staged.discard()
    staged.discard()
    assert show(driver, CHILD) == {}
    assert_nothing_is_left(driver)


def test_a_layer_with_content_or_on_another_parent_is_none_to_prepare_for(driver: Driver) -> None:
    driver.create_from_template(NewLayer(id=TOP), CHILD)
    assert driver.stage_into(TOP, BASE) is None
    Path(driver.diff_directory(CHILD), "file").write_text("there")
    assert driver.stage_into(CHILD, BASE) is None
    assert_nothing_is_left(driver)


def test_what_came_into_the_layer_meanwhile_stays(driver: Driver) -> None:
    staged = staged_with(driver, CONTENT)
    Path(driver.diff_directory(CHILD), "file").write_text("there")
    with pytest.raises(LayerDirectoryError, match="while the archive was read"):
        staged.commit()
    staged.discard()
    assert show(driver, CHILD) == {"file": "there"}
    assert_nothing_is_left(driver)
