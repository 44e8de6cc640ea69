"""Unpacking while another process exchanges directories of the root with links that lead out."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from drivers.archive.entry import DIRECTORY, HARD_LINK, REGULAR, SYMLINK, Entry
from drivers.archive.unpack import Unpacker, UnpackOptions
from drivers.errors import StorageError
from tests.support import treefacts
from tests.support.unpacking import WHITEOUTS, Box

pytestmark = pytest.mark.root

_SWAPPER = """
import os, sys
from drivers.linux.rename import renameat2
root = os.open(sys.argv[1], os.O_RDONLY)
print("ready", flush=True)
rounds = 0
while not os.path.exists(sys.argv[2]):
    for pair in ((b"d", b"out"), (b"e", b"up"), (b"x", b"y")):
        try:
            renameat2(root, pair[0], root, pair[1], 2)
        except OSError:
            pass
    rounds += 1
print(rounds)
"""
ENTRIES = 10_000


@contextmanager
def swapping(root: Path, stop: Path) -> Iterator[None]:
    """Directories and links of *root* change places, thousands of times a second."""
    command = [sys.executable, "-c", _SWAPPER, str(root), str(stop)]
    process = subprocess.Popen(command, cwd=Path(__file__).parents[2], stdout=subprocess.PIPE)
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == b"ready\n"
        yield
        stop.touch()
        assert int(process.communicate(timeout=20)[0]) > 100
    finally:
        process.kill()
        process.wait()


def _entries() -> Iterator[Entry]:
    """More directories than are kept open, so that each entry looks its own up again."""
    for number in range(ENTRIES):
        top = (b"d", b"e", b"x")[number % 3]
        name = b"%b/%d/%d" % (top, number % 97, number % 1000)
        match number % 11:
            case 0:
                yield Entry(b"%b/%d" % (top, number % 97), DIRECTORY, mode=0o777, mtime_ns=1)
            case 1:
                yield Entry(name, SYMLINK, b"/")
            case 2:
                yield Entry(name, HARD_LINK, b"%b/secret" % top)
            case 3:
                yield Entry(b"%b/.wh.secret" % top, REGULAR)
            case 4:
                yield Entry(b"%b/sub/.wh..wh..opq" % top, REGULAR)
            case 5:
                yield Entry(b"%b/sub" % top, DIRECTORY, mode=0o777, mtime_ns=1)
            case 6:
                yield Entry(b"%b/%d" % (top, number % 97), REGULAR)
            case _:
                yield Entry(name, REGULAR, size=4, mode=0o6777, uid=1)


@pytest.mark.parametrize("whiteouts", ["overlay", "remove"])
def test_links_that_appear_on_the_way_lead_nowhere(whiteouts: str, tmp_path: Path) -> None:
    box = Box(tmp_path)
    for name in ("d", "e", "x", "y"):
        (box.root / name / "sub").mkdir(parents=True)
    (box.root / "out").symlink_to(box.outside)
    (box.root / "up").symlink_to("../outside")
    failed = 0
    fd = os.open(box.root, os.O_RDONLY | os.O_DIRECTORY)
    until = time.monotonic() + 15

    with (
        swapping(box.root, tmp_path / "stop"),
        Unpacker(fd, whiteouts=WHITEOUTS[whiteouts], options=UnpackOptions()) as unpacker,
    ):
        for entry in _entries():
            try:
                unpacker.add(entry, iter([memoryview(b"data")] if entry.size else []))
            except StorageError:
                failed += 1
            assert time.monotonic() < until
    os.close(fd)

    assert box.is_intact()
    assert 0 < failed < ENTRIES * 3 // 4
    assert len(treefacts.here(box.root)) > 100
