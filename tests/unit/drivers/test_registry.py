"""Which driver is opened, and which options reach it."""

import subprocess
import sys
from pathlib import Path

import pytest

from drivers.errors import DriverNotSupportedError, DriverOptionError
from drivers.registry import DriverOptions, open_driver, settings_for


def options(root: Path, name: str = "", *, priority: tuple[str, ...] = ()) -> DriverOptions:
    return DriverOptions(
        graph_root=str(root / "graph"),
        run_root=str(root / "run"),
        name=name,
        priority=priority,
        read_only=True,
    )


@pytest.mark.parametrize(
    ("name", "driver"),
    [("overlay", "overlay"), ("overlay2", "overlay"), ("btrfs", "btrfs"), ("vfs", "vfs")],
)
def test_a_name_decides(tmp_path: Path, name: str, driver: str) -> None:
    opened = open_driver(options(tmp_path, name))
    assert (opened.name, opened.home) == (driver, str(tmp_path / "graph" / driver))


@pytest.mark.parametrize("name", ["zfs", "nonsense"])
def test_a_driver_that_we_lack_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(DriverNotSupportedError, match=name) as caught:
        open_driver(options(tmp_path, name))
    assert caught.value.remedy


def test_the_first_of_the_priority_that_works_is_taken(tmp_path: Path) -> None:
    assert open_driver(options(tmp_path, priority=("zfs", "vfs", "overlay"))).name == "vfs"


def test_nothing_that_works_is_an_error_with_the_reason_of_each(tmp_path: Path) -> None:
    with pytest.raises(DriverNotSupportedError, match=r"zfs.*nonsense") as caught:
        open_driver(options(tmp_path, priority=("zfs", "nonsense")))
    assert caught.value.remedy


def test_nothing_configured_is_overlay(tmp_path: Path) -> None:
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
