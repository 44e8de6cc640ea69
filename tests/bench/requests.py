"""What single calls cost through FUSE, beside a file system on pyfuse3 that does nothing.

Used by: tests.bench.side_by_side. A mount with ``native=off`` can come near to that one, not below.
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

from tests.bench import emptyfs
from tests.bench.measuring import PROJECT
from tests.support import process

ALONE: Final = "pyfuse3 alone"
_CALLS: Final = 500
_ROUNDS: Final = 9


class Target(NamedTuple):
    """An empty directory and a file in one mount."""

    directory: Path
    file: Path


@contextmanager
def alone(mount_point: Path) -> Iterator[Target]:
    """The file system that does nothing, mounted."""
    mount_point.mkdir()
    words = [sys.executable, "-m", "tests.bench.emptyfs", str(mount_point)]
    child = subprocess.Popen(words, cwd=PROJECT, stdout=subprocess.PIPE)
    assert child.stdout is not None
    try:
        assert child.stdout.readline() == b"mounted\n"
        yield Target(
            mount_point / os.fsdecode(emptyfs.DIRECTORY), mount_point / os.fsdecode(emptyfs.FILE)
        )
    finally:
        process.run(["umount", "--lazy", str(mount_point)], check=False)
        child.wait(20)


def compare(targets: Mapping[str, Target]) -> dict[str, dict[str, float]]:
    """Seconds of one call, by call and subject: the least of some rounds in turns."""
    found: dict[str, dict[str, float]] = {}
    for call, run in _CALLS_BY_NAME.items():
        row = {name: float("inf") for name in targets}
        for _ in range(_ROUNDS):
            for name, target in targets.items():
                row[name] = min(row[name], _seconds(run, target))
        found[call] = row
    return found


def _seconds(run: Callable[[Target], None], target: Target) -> float:
    started = time.perf_counter()
    for _ in range(_CALLS):
        run(target)
    return (time.perf_counter() - started) / _CALLS


def _list(target: Target) -> None:
    os.listdir(target.directory)


def _open(target: Target) -> None:
    os.close(os.open(target.file, os.O_RDONLY))


_CALLS_BY_NAME: Final = {"list an empty directory": _list, "open and close a file": _open}
