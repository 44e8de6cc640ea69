"""A btrfs file system in a file, for tests of what only such a file system can do.

Used by: tests.support.capabilities (the probe), conformance tests.
"""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from drivers.erase import erase_tree
from tests.support import mounttable, process
from tests.support.gotools import Roots

_MEGABYTES = 256


@contextmanager
def file_system(base: Path) -> Iterator[Path]:
    """A new one, mounted at *base*/btrfs; nothing is mounted there afterwards."""
    image, where = base / "btrfs.image", base / "btrfs"
    where.mkdir()
    with open(image, "wb") as file:
        file.truncate(_MEGABYTES << 20)
    process.run(["mkfs.btrfs", "--quiet", str(image)], timeout=30)
    process.run(["mount", "-o", "loop", str(image), str(where)], timeout=30)
    try:
        yield where
    finally:
        mounttable.unmount_below(where)
        image.unlink()


def missing() -> str:
    """Why there can be none; "" if there can."""
    if os.geteuid() != 0:
        return "not root"
    if shutil.which("mkfs.btrfs") is None:
        return "mkfs.btrfs is not installed (Debian package btrfs-progs)"
    with tempfile.TemporaryDirectory(prefix="storagefs-probe-") as base:
        try:
            with file_system(Path(base)):
                return ""
        except (process.CommandError, subprocess.TimeoutExpired) as error:
            return str(error)


@contextmanager
def roots(disk: Path, name: str, run: Path) -> Iterator[Roots]:
    """Roots on a btrfs file system; nothing of them is left there afterwards."""
    base = disk / name
    base.mkdir()
    yield Roots(base / "graph", run / "r")
    mounttable.unmount_below(base)
    erase_tree(str(base))
    if left := subvolumes(disk, base):
        raise AssertionError(f"left behind: {left}")


def subvolumes(disk: Path, below: Path) -> list[str]:
    """All subvolumes under a directory, as btrfs-progs list them."""
    lines = process.run(["btrfs", "subvolume", "list", str(disk)]).stdout.decode().splitlines()
    paths = [line.split(" path ")[1] for line in lines]
    return sorted(path for path in paths if path.startswith(f"{below.relative_to(disk)}/"))


def make_subvolume(path: Path) -> Path:
    process.run(["btrfs", "subvolume", "create", str(path)])
    return path


def nest(root: Path) -> None:
    """Subvolumes in a layer, and in each other, one of them read-only."""
    make_subvolume(root / "var")
    (root / "var" / "deep").mkdir()
    make_subvolume(root / "var" / "deep" / "lib")
    (root / "var" / "deep" / "lib" / "file").write_text("nested")
    snapshot = ["btrfs", "subvolume", "snapshot", "-r", str(root / "var"), str(root / "frozen")]
    process.run(snapshot)
