"""Files that AUFS kept for hard links: what they cost, and that a check knows of them."""

import io
import os
import subprocess
import tracemalloc
from pathlib import Path

import pytest

from backend import open_store
from backend.model.findings import Depth, Fault
from drivers.errors import UnpackFailedError
from tests.support import hostile, mounttable, smallstore
from tests.support.gotools import Roots
from tests.support.hostile import Member, directory, hard_link
from tests.support.unpacking import unpack

pytestmark = [pytest.mark.root, pytest.mark.overlay]

LINKS = b".wh..wh.plnk"
MEGABYTE = 1 << 20


@pytest.mark.parametrize("driver", ["overlay", "vfs"])
def test_a_layer_with_files_of_aufs_is_sound_but_a_whole_tree_has_not_all_of_its_archive(
    driver: str, roots: Roots
) -> None:
    data = hostile.archive(
        [
            directory(LINKS),
            Member(b".wh..wh.aufs"),
            Member(LINKS + b"/1.2", data=b"content"),
            Member(LINKS + b"/never", data=b"x"),
            hard_link(b"a", LINKS + b"/1.2"),
            hard_link(b"d/b", b"a"),
        ]
    )
    with open_store(smallstore.options(roots, driver)) as store:
        layer = store.layers.put(io.BytesIO(data))
        content = Path(store.driver.diff_directory(layer.id))
        assert (content / "d/b").read_text() == "content"
        assert (content / os.fsdecode(LINKS) / "1.2").exists() == (driver == "overlay")
        faults = [f.fault for f in store.check(Depth.FILES).findings if not f.is_note]
        assert faults == ([] if driver == "overlay" else [Fault.LAYER_DIGEST])


def test_many_files_for_links_take_one_descriptor_and_no_memory(tmp_path: Path) -> None:
    large = Member(LINKS + b"/large", data=bytes(16 * MEGABYTE))
    small = [Member(LINKS + b"/%d" % number, data=b"x") for number in range(2000)]
    data = hostile.archive([large, *small, hard_link(b"a", LINKS + b"/large")])
    before = len(os.listdir("/proc/self/fd"))
    tracemalloc.start()
    try:
        unpack(tmp_path, data, "remove")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert (tmp_path / "a").stat().st_size == 16 * MEGABYTE
    assert sorted(os.listdir(tmp_path)) == sorted([os.fsdecode(LINKS), "a"])
    assert len(os.listdir("/proc/self/fd")) == before
    assert peak < 12 * MEGABYTE


def test_a_disk_that_is_too_full_for_a_file_for_links_is_left_as_it_was(tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", small], check=True)
    try:
        data = hostile.archive([Member(LINKS + b"/1", data=bytes(100_000))])
        with pytest.raises(UnpackFailedError, match="/1': No space left"):
            unpack(small, data, "remove")
        assert os.listdir(small) == []
        assert os.statvfs(small).f_bfree == os.statvfs(small).f_blocks
    finally:
        mounttable.unmount_below(tmp_path)
