"""Which driver a graph root gets, and which options reach it."""

import subprocess
import sys
from pathlib import Path

import pytest

from drivers.errors import DriverNotSupportedError, DriverOptionError, WrongDriverError
from drivers.registry import DriverOptions, existing_drivers, open_driver, settings_for


def options(root: Path, name: str = "", *, priority: tuple[str, ...] = ()) -> DriverOptions:
    return DriverOptions(
        graph_root=str(root / "graph"),
        run_root=str(root / "run"),
        name=name,
        priority=priority,
        read_only=True,
    )


def have(root: Path, *names: str) -> None:
    for name in names:
        (root / "graph" / name).mkdir(parents=True)


@pytest.mark.parametrize(
    ("name", "driver"),
    [("overlay", "overlay"), ("overlay2", "overlay"), ("btrfs", "btrfs"), ("vfs", "vfs")],
)
def test_a_name_decides(tmp_path: Path, name: str, driver: str) -> None:
    have(tmp_path, "overlay", "vfs")
    opened = open_driver(options(tmp_path, name))
    assert (opened.name, opened.home) == (driver, str(tmp_path / "graph" / driver))


@pytest.mark.parametrize("name", ["zfs", "nonsense"])
def test_a_driver_that_we_lack_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(DriverNotSupportedError, match=name) as caught:
        open_driver(options(tmp_path, name))
    assert caught.value.remedy


def test_what_is_there_decides_where_nothing_is_configured(tmp_path: Path) -> None:
    have(tmp_path / "one", "overlay")
    assert existing_drivers(str(tmp_path / "one" / "graph")) == ("overlay",)
    assert open_driver(options(tmp_path / "one")).name == "overlay"
    have(tmp_path / "two", "btrfs")
    assert open_driver(options(tmp_path / "two")).name == "btrfs"


def test_what_is_there_but_not_known_to_us_is_not_ignored(tmp_path: Path) -> None:
    have(tmp_path, "zfs")
    with pytest.raises(DriverNotSupportedError, match="zfs"):
        open_driver(options(tmp_path))


def test_data_of_several_drivers_is_an_error_that_names_them(tmp_path: Path) -> None:
    have(tmp_path, "overlay", "vfs")
    with pytest.raises(WrongDriverError, match="overlay, vfs") as caught:
        open_driver(options(tmp_path))
    assert caught.value.remedy


def test_leftover_vfs_data_counts_only_with_a_priority_of_ones_own(tmp_path: Path) -> None:
    have(tmp_path, "vfs")
    assert open_driver(options(tmp_path)).name == "overlay"
    assert open_driver(options(tmp_path, priority=("vfs", "overlay"))).name == "vfs"


def test_nothing_there_and_nothing_configured_is_overlay(tmp_path: Path) -> None:
    assert open_driver(options(tmp_path)).name == "overlay"
    assert not (tmp_path / "graph").exists()


def test_both_spellings_of_an_option_reach_the_driver_and_others_are_passed_over() -> None:
    texts = ("overlay.MountOpt=a=b,c", ".size=1", "inodes=2", "overlay2.x=3", "vfs.y=4", "zfs.z=5")
    found = settings_for("overlay", texts)
    assert found == (("mountopt", "a=b,c"), ("size", "1"), ("inodes", "2"), ("x", "3"))
    assert settings_for("vfs", texts) == (("size", "1"), ("inodes", "2"), ("y", "4"))


@pytest.mark.parametrize("text", ["nonsense.key=1", "key", ""])
def test_what_is_no_option_is_refused(text: str) -> None:
    with pytest.raises(DriverOptionError):
        settings_for("overlay", (text,))


def test_opening_a_driver_imports_nothing_that_mounts() -> None:
    script = (
        "import sys\n"
        "from drivers.registry import DriverOptions, open_driver\n"
        "for name in ('overlay', 'vfs', 'btrfs'):\n"
        "    open_driver(DriverOptions(graph_root='/x', run_root='/y', name=name)).list_layers()\n"
        "print(*[m for m in ('ctypes', 'fcntl', 'pathlib', 'base64') if m in sys.modules])\n"
    )
    done = subprocess.run(
        [sys.executable, "-S", "-c", script],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[3],
    )
    assert done.stdout.strip() == ""
