"""The vfs driver against the suite, and what is its own."""

import errno
import os
from pathlib import Path

import pytest

from drivers.errors import DriverOptionError
from drivers.protocol import Driver, DriverOptions, MountRequest, NewLayer
from drivers.registry import open_driver
from tests.conformance.driver_suite import DriverSuite
from tests.support.driverlayers import BASE, CHILD, edit_layer, fill, open_for
from tests.support.gotools import Roots

pytestmark = pytest.mark.root


class TestVfs(DriverSuite):
    @pytest.fixture
    def driver(self, roots: Roots) -> Driver:
        return open_for(roots, "vfs")

    def test_a_child_is_a_full_copy_with_all_that_belongs_to_a_file(self, driver: Driver) -> None:
        driver.create(NewLayer(id=BASE, writable=True))
        edit_layer(driver, BASE, fill)
        driver.create(NewLayer(id=CHILD, parent=BASE, writable=True))
        assert driver.changes(CHILD, BASE) == []
        root = Path(driver.diff_directory(CHILD))
        assert root.joinpath("hard").samefile(root / "file")
        assert os.stat(root / "setuid").st_mode & 0o7777 == 0o4755
        assert os.stat(root / "null").st_rdev == os.makedev(1, 3)
        assert os.getxattr(root / "other", "user.kept") == b"1"
        assert os.readlink(root / "link") == "file"
        (root / "file").write_text("the parent keeps its own")
        assert Path(driver.diff_directory(BASE), "file").read_text() == "file"

    def test_devices_are_left_out_where_nobody_can_make_them(
        self, driver: Driver, roots: Roots
    ) -> None:
        driver.create(NewLayer(id=BASE, writable=True))
        edit_layer(driver, BASE, fill)
        where = DriverOptions(
            graph_root=str(roots.graph), run_root=str(roots.run), name="vfs", rootless=True
        )
        open_driver(where).create(NewLayer(id=CHILD, parent=BASE))
        names = os.listdir(driver.diff_directory(CHILD))
        assert "null" not in names
        assert "fifo" in names

    def test_there_is_no_content_of_its_own(self, driver: Driver) -> None:
        driver.create(NewLayer(id=BASE))
        assert driver.open_diff(BASE) is None

    def test_mount_options_are_refused(self, driver: Driver) -> None:
        driver.create(NewLayer(id=BASE))
        driver.mount(MountRequest(layer=BASE, options=("ro",)))
        with pytest.raises(DriverOptionError, match="nodev"):
            driver.mount(MountRequest(layer=BASE, options=("nodev",)))

    def test_a_layer_that_cannot_be_looked_at_is_not_made_anew(
        self, driver: Driver, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        driver.create(NewLayer(id=BASE, writable=True))
        edit_layer(driver, BASE, fill)
        home = driver.diff_directory(BASE)
        look = os.lstat

        def failing(path: str, **options: int) -> os.stat_result:
            if path == home:
                raise OSError(errno.EIO, os.strerror(errno.EIO), path)
            return look(path, **options)

        with monkeypatch.context() as patched:
            patched.setattr(os, "lstat", failing)
            with pytest.raises(OSError, match="Input/output"):
                driver.create(NewLayer(id=BASE))
        assert Path(home, "file").read_text() == "file"
