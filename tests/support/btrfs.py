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

from tests.support import mounttable, process

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
