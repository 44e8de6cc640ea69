"""What unpacking may cost at most, and what it says when the disk is full."""

import errno
import os
import subprocess
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest

from drivers.archive.entry import DIRECTORY, REGULAR, Entry
from drivers.archive.unpack import Unpacker, UnpackOptions
from drivers.errors import UnpackFailedError
from drivers.protocol import Whiteouts
from fusefs import errnos
from tests.support import hostile, mounttable
from tests.support.hostile import Member
from tests.support.unpacking import WHITEOUTS, unpack

pytestmark = pytest.mark.root

MEGABYTE = 1 << 20
DEPTH = 60


@pytest.fixture
def root_fd(tmp_path: Path) -> Iterator[int]:
    fd = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    yield fd
    os.close(fd)


def _unpacker(fd: int, whiteouts: str = "overlay") -> Unpacker:
    return Unpacker(fd, whiteouts=WHITEOUTS[whiteouts], options=UnpackOptions())


def test_a_large_file_passes_in_pieces(root_fd: int) -> None:
    piece = memoryview(bytes(MEGABYTE))
    tracemalloc.start()
    try:
        with _unpacker(root_fd) as unpacker:
            unpacker.add(Entry(b"large", REGULAR, size=64 * MEGABYTE), iter([piece] * 64))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert os.stat("large", dir_fd=root_fd).st_size == 64 * MEGABYTE
    assert peak < MEGABYTE


def test_a_thousand_directories_need_few_descriptors(root_fd: int) -> None:
    before = len(os.listdir("/proc/self/fd"))
    with _unpacker(root_fd) as unpacker:
        for number in range(1000):
            unpacker.add(Entry(b"%d" % number, DIRECTORY, mode=0o755), iter(()))
            unpacker.add(Entry(b"%d/missing/f" % number, REGULAR), iter(()))
        unpacker.finish()
        most = len(os.listdir("/proc/self/fd"))

    assert most - before <= 64
    assert len(os.listdir("/proc/self/fd")) == before


def test_opaque_markers_in_each_other_list_each_directory_once(
    root_fd: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = 0
    scandir = os.scandir

    def counting(directory: int) -> Iterator[os.DirEntry[str]]:
        nonlocal listed
        listed += 1
        return scandir(directory)

    monkeypatch.setattr(os, "scandir", counting)
    paths = [b"/".join([b"d"] * depth) for depth in range(1, DEPTH)]
    with _unpacker(root_fd, "remove") as unpacker:
        for path in paths:
            unpacker.add(Entry(path, DIRECTORY, mode=0o755), iter(()))
            unpacker.add(Entry(path + b"/f", REGULAR), iter(()))
        for path in [*reversed(paths), *paths]:
            unpacker.add(Entry(path + b"/.wh..wh..opq", REGULAR), iter(()))

    assert listed == len(paths)
    assert os.stat(paths[-1] + b"/f", dir_fd=root_fd)


@pytest.mark.parametrize("whiteouts", [kind.value for kind in Whiteouts])
def test_a_full_disk_is_no_fault_of_the_archive(whiteouts: str, tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", small], check=True)
    try:
        data = hostile.archive([Member(b"a/large", data=bytes(100_000))])
        with pytest.raises(UnpackFailedError, match="'a/large': No space left") as caught:
            unpack(small, data, whiteouts)
    finally:
        mounttable.unmount_below(tmp_path)

    assert caught.value.entry == b"a/large"
    assert errnos.errno_of(caught.value) == errno.ENOSPC
