"""Mounts of the overlay driver: numbers of layers, paths, options, full file systems."""

import os
from pathlib import Path

import pytest

from drivers.errors import (
    DriverNotSupportedError,
    LayerDirectoryError,
    MountFailedError,
    TooManyLayersError,
)
from drivers.ids import LayerID
from drivers.linux import mount, mountinfo
from drivers.protocol import Driver, MountRequest, NewLayer
from drivers.trash import TrashDirectory
from tests.support.driverlayers import (
    BASE,
    TOP,
    make_chain,
    open_for,
)
from tests.support.gotools import Roots

pytestmark = [pytest.mark.root, pytest.mark.overlay]


@pytest.fixture
def driver(roots: Roots) -> Driver:
    return open_for(roots, "overlay")


def create_until_full(driver: Driver, made: list[LayerID]) -> None:
    while True:
        layer = LayerID(f"{len(made):064x}")
        driver.create(NewLayer(id=layer, writable=True))
        made.append(layer)


def home(roots: Roots) -> Path:
    return roots.graph / "overlay"


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
