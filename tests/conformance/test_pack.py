"""Trees as archives: what is in them, what overlay's marks become, and trees that change meanwhile.

That the bytes are those of the Go tools is tested in tests/compat/test_diff_gotools.py.
"""

import ctypes
import os
import stat
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from drivers.archive.pack import pack_changes, pack_tree
from drivers.archive.packoverlay import OverlayMarks
from drivers.erase import erase_tree
from drivers.errors import ArchiveError
from drivers.idmap.maps import IDMap
from drivers.linux import treewalk
from drivers.naive import compare
from tests.support import packcontent
from tests.support.tarlisting import content, listed, names

pytestmark = pytest.mark.root

MAPS = ((IDMap(0, 100000, 1000),), (IDMap(0, 200000, 1000),))
LARGE = 3 << 20


@contextmanager
def opened(directory: Path) -> Iterator[int]:
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield fd
    finally:
        os.close(fd)


def nothing_merged() -> int:
    raise AssertionError("the merged view was asked for without need")


def marks(*lowers: Path) -> OverlayMarks:
    return OverlayMarks(b"trusted.overlay.", [os.fspath(lower) for lower in lowers], nothing_merged)


def packed(directory: Path, **options: object) -> bytes:
    with opened(directory) as root:
        return b"".join(pack_tree(root, **options))


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def whiteout(path: Path) -> None:
    os.mknod(path, stat.S_IFCHR, 0)


def test_an_empty_tree_is_two_empty_blocks(tmp_path: Path) -> None:
    assert packed(tmp_path) == bytes(1024)


def test_the_example_of_a_round_trip_of_whiteouts(tmp_path: Path) -> None:
    lower, upper = tmp_path / "lower", tmp_path / "upper"
    for path in ("d", "e"):
        (lower / path).mkdir(parents=True)
        (upper / path).mkdir(parents=True)
    whiteout(upper / "zzz")
    whiteout(upper / "d" / "x")
    os.setxattr(upper / "e", "trusted.overlay.opaque", b"y")
    (upper / "e" / "new").touch()
    archive = packed(upper, marks=marks(lower))
    assert names(archive) == ["d", "d/.wh.x", "e", "e/.wh..wh..opq", "e/new", ".wh.zzz"]


def test_a_whiteout_is_a_device_where_the_tree_is_no_overlay_layer(tmp_path: Path) -> None:
    whiteout(tmp_path / "device")
    [(name, kind, *_)] = listed(packed(tmp_path))
    assert (name, kind) == ("device", b"3")


@pytest.mark.parametrize(
    ("value", "below", "hides"),
    [
        (b"y", "directory", True),
        (b"y", "file", True),
        (b"y", "nothing", False),
        (b"y", "whiteout", False),
        (b"x", "directory", False),
        (b"yes", "directory", False),
    ],
)
def test_an_opaque_directory_hides_what_is_below(
    tmp_path: Path, value: bytes, below: str, hides: bool
) -> None:
    empty, lower, upper = (tmp_path / name for name in ("empty", "lower", "upper"))
    (upper / "in" / "d").mkdir(parents=True)
    (lower / "in").mkdir(parents=True)
    empty.mkdir()
    path = lower / "in" / "d"
    {"directory": path.mkdir, "file": path.touch, "nothing": str, "whiteout": str}[below]()
    if below == "whiteout":
        whiteout(path)
    os.setxattr(upper / "in" / "d", "trusted.overlay.opaque", value)
    archive = packed(upper, marks=marks(empty, lower))
    assert ("in/d/.wh..wh..opq" in names(archive)) is hides
    assert "in/d/.wh..wh..opq" not in names(packed(upper, marks=marks(empty)))


def test_a_removal_of_a_parent_between_the_layers_hides_already(tmp_path: Path) -> None:
    lower, middle, upper = (tmp_path / name for name in ("lower", "middle", "upper"))
    for layer in (lower, upper):
        (layer / "a" / "b").mkdir(parents=True)
    middle.mkdir()
    whiteout(middle / "a")
    os.setxattr(upper / "a" / "b", "trusted.overlay.opaque", b"y")
    assert "a/b/.wh..wh..opq" not in names(packed(upper, marks=marks(middle, lower)))
    assert "a/b/.wh..wh..opq" in names(packed(upper, marks=marks(lower)))


def test_what_is_below_is_not_looked_for_outside_of_its_layer(tmp_path: Path) -> None:
    lower, upper, outside = (tmp_path / name for name in ("lower", "upper", "outside"))
    (outside / "d").mkdir(parents=True)
    (upper / "link" / "d").mkdir(parents=True)
    lower.mkdir()
    (lower / "link").symlink_to(outside)
    os.setxattr(upper / "link" / "d", "trusted.overlay.opaque", b"y")
    assert names(packed(upper, marks=marks(lower))) == ["link", "link/d"]


def test_owners_are_those_that_the_container_sees(tmp_path: Path) -> None:
    for name, uid, gid in (("in", 100007, 200999), ("uid", 5, 200000), ("gid", 100000, 201000)):
        (tmp_path / name).write_text(name)
        os.chown(tmp_path / name, uid, gid)
    owners = {name: (uid, gid) for name, _, _, uid, gid, *_ in listed(packed(tmp_path, maps=MAPS))}
    assert owners == {"in": (7, 999), "uid": (65534, 0), "gid": (0, 65534)}


def test_a_whiteout_that_the_kernel_made_can_be_unpacked_with_the_maps(tmp_path: Path) -> None:
    whiteout(tmp_path / "gone")
    os.chown(tmp_path / "gone", 0, 0)
    [(name, _, _, uid, gid, *_)] = listed(packed(tmp_path, maps=MAPS, marks=marks()))
    assert (name, uid, gid) == (".wh.gone", 0, 0)


def test_attributes_of_overlay_itself_stay(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    os.setxattr(tmp_path / "file", "user.overlay.origin", b"x")
    os.setxattr(tmp_path / "file", "user.other", b"x")
    rootless = OverlayMarks(b"user.overlay.", [], nothing_merged)
    [member] = listed(packed(tmp_path, marks=rootless))
    assert member[-1] == {"SCHILY.xattr.user.other": "x"}


def test_sockets_are_left_out(tmp_path: Path) -> None:
    packcontent.devices(tmp_path)
    assert stat.S_ISSOCK(os.lstat(tmp_path / "socket").st_mode)
    assert "socket" not in names(packed(tmp_path))


def test_an_attribute_that_no_archive_can_hold_is_an_error_with_its_name(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    os.setxattr(tmp_path / "file", "user.a=b", b"x")
    with pytest.raises(ArchiveError, match=r"user\.a=b") as caught:
        packed(tmp_path)
    assert caught.value.entry == b"file"
    assert caught.value.remedy


def test_content_comes_in_bounded_pieces_and_small_files_together(tmp_path: Path) -> None:
    (tmp_path / "large").touch()
    os.truncate(tmp_path / "large", 64 << 20)
    for number in range(2000):
        (tmp_path / f"small{number}").write_text("x")
    with opened(tmp_path) as root:
        sizes = [len(piece) for piece in pack_tree(root)]
    assert max(sizes) <= 1 << 20
    assert len(sizes) < 64 + 16
    assert sum(sizes) == (64 << 20) + 512 + 2000 * 1024 + 1024


def test_an_archive_that_nobody_reads_to_its_end_leaves_nothing_open(tmp_path: Path) -> None:
    packcontent.sizes(tmp_path)
    with opened(tmp_path) as root:
        before = descriptors()
        stream = pack_tree(root)
        next(stream)
        assert descriptors() > before
        stream.close()
        assert descriptors() == before


def test_a_tree_deeper_than_any_path_is_packed_with_few_descriptors(tmp_path: Path) -> None:
    depth, name = 120, b"d" * 60
    fd = os.open(tmp_path, os.O_RDONLY)
    for _ in range(depth):
        os.mkdir(name, dir_fd=fd)
        below = os.open(name, os.O_RDONLY, dir_fd=fd)
        os.close(os.open("z", os.O_CREAT | os.O_WRONLY, dir_fd=fd))
        os.close(fd)
        fd = below
    os.close(fd)
    most = 0
    with opened(tmp_path) as root:
        before = descriptors()
        found = []
        for entry in treewalk.walk(root):
            found.append(entry.path)
            most = max(most, descriptors() - before)
        archive = b"".join(pack_tree(root))
    erase_tree(os.fspath(tmp_path / os.fsdecode(name)))
    assert 60 < most <= 70
    assert max(map(len, found)) > 4096
    assert found[:depth] == [b"/".join([name] * levels) for levels in range(1, depth + 1)]
    assert found[-1] == b"z"
    assert [os.fsencode(entry) for entry in names(archive)] == found


class TestWhileItChanges:
    """The first piece is the header of a large file; then something happens."""

    @pytest.fixture
    def tree(self, tmp_path: Path) -> Path:
        root = tmp_path / "root"
        root.mkdir()
        (root / "a-large").write_bytes(b"x" * LARGE)
        (root / "b").mkdir()
        (root / "b" / "file").write_text("inside")
        (root / "c").write_text("c")
        return root

    @contextmanager
    def begun(self, tree: Path) -> Iterator[tuple[bytes, Iterator[bytes]]]:
        with opened(tree) as root:
            stream = pack_tree(root)
            yield next(stream), stream
            stream.close()

    def test_a_file_that_grows_keeps_the_size_of_its_header(self, tree: Path) -> None:
        with self.begun(tree) as (head, rest), open(tree / "a-large", "ab") as file:
            file.write(b"y" * LARGE)
            file.flush()
            archive = head + b"".join(rest)
        assert names(archive) == ["a-large", "b", "b/file", "c"]
        assert content(archive, "a-large") == b"x" * LARGE

    def test_a_file_that_shrinks_is_an_error_that_names_it(self, tree: Path) -> None:
        with self.begun(tree) as (_, rest):
            os.truncate(tree / "a-large", 100)
            with pytest.raises(ArchiveError, match="shorter") as caught:
                b"".join(rest)
        assert caught.value.entry == b"a-large"
        assert caught.value.remedy

    def test_what_vanishes_is_left_out(self, tree: Path) -> None:
        with self.begun(tree) as (head, rest):
            (tree / "b" / "file").unlink()
            (tree / "b").rmdir()
            archive = head + b"".join(rest)
        assert names(archive) == ["a-large", "c"]

    def test_what_is_replaced_is_packed_as_what_it_is_now(self, tree: Path) -> None:
        with self.begun(tree) as (head, rest):
            (tree / "b").rename(tree / "0")
            (tree / "b").symlink_to("/etc")
            archive = head + b"".join(rest)
        assert names(archive) == ["a-large", "b", "c"]


def test_a_directory_that_is_swapped_for_a_link_never_leads_outside(tmp_path: Path) -> None:
    tree, outside = tmp_path / "tree", tmp_path / "outside"
    (tree / "d" / "sub").mkdir(parents=True)
    (tree / "d" / "sub" / "file").write_text("inside")
    (outside / "sub").mkdir(parents=True)
    (outside / "sub" / "file").write_text("secret")
    (tree / "link").symlink_to(outside)
    done = threading.Event()
    exchange = ctypes.CDLL(None).renameat2

    def swap() -> None:
        one, two = os.fsencode(tree / "d"), os.fsencode(tree / "link")
        while not done.is_set():
            assert exchange(-100, one, -100, two, 2) == 0

    swapping = threading.Thread(target=swap)
    swapping.start()
    try:
        archives = [packed(tree) for _ in range(300)]
    finally:
        done.set()
        swapping.join()
    assert not any(b"secret" in archive for archive in archives)
    assert len(set(archives)) > 1


def test_what_cannot_be_read_is_an_error_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "file").write_text("x")
    (tmp_path / "d" / "file").chmod(0)
    tmp_path.chmod(0o755)

    def pack_as_somebody_else(root: int) -> bytes:
        ctypes.CDLL(None).setfsuid(1000)  # of this thread alone
        return b"".join(pack_tree(root))

    with (
        opened(tmp_path) as root,
        ThreadPoolExecutor(1) as thread,
        pytest.raises(ArchiveError, match="denied") as caught,
    ):
        thread.submit(pack_as_somebody_else, root).result()
    assert caught.value.entry == b"d/file"


def test_a_removal_is_dated_by_its_directory_and_the_archive_repeats(tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    (old / "d").mkdir(parents=True)
    (new / "d").mkdir(parents=True)
    (old / "d" / "gone").touch()
    os.utime(new / "d", (1, 1234567))
    with opened(old) as before, opened(new) as now:
        changes = compare(before, now)
        archives = [b"".join(pack_changes(now, changes)) for _ in range(2)]
    assert archives[0] == archives[1]
    assert [(member[0], member[8]) for member in listed(archives[0])] == [
        ("d", 1234567),
        ("d/.wh.gone", 1234567),
    ]
