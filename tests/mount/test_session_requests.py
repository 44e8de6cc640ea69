"""The session over a small tree from memory: what programs see through a real mount."""

import errno
import os
import select
import subprocess
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.served import Served, served, within

pytestmark = [pytest.mark.root, pytest.mark.fuse, pytest.mark.timeout(60)]


@pytest.fixture
def tree(tmp_path: Path) -> Iterator[Served]:
    with served(tmp_path) as serving:
        yield serving


def test_the_mount_is_named_after_its_source_and_guarded_by_the_kernel(tree: Served) -> None:
    mount = tree.mount()

    assert mount is not None
    assert mount.fstype == "fuse.storagefs"
    assert mount.source == "/graph, root"
    assert {"nosuid", "nodev"} <= set(mount.options.split(","))
    super_options = set(mount.super_options.split(","))
    assert "default_permissions" in super_options
    assert "allow_other" not in super_options


def test_files_links_and_directories_are_read(tree: Served) -> None:
    assert (tree.where / "hello").read_bytes() == b"hello\n"
    assert os.readlink(tree.where / "link") == "hello"
    assert (tree.where / "link").read_bytes() == b"hello\n"
    assert len(os.listdir(tree.where / "many")) == 1000
    assert os.statvfs(tree.where).f_blocks == os.statvfs("/").f_blocks


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("EBUSY", errno.EBUSY),
        ("in-use", errno.EBUSY),
        ("damaged", errno.EUCLEAN),
        ("bug", errno.EIO),
        ("exit", errno.EIO),
        ("enosys", errno.EOPNOTSUPP),
        ("no-errno", errno.EIO),
    ],
)
def test_errors_arrive_as_errnos_and_the_mount_lives(
    tree: Served, name: str, expected: int
) -> None:
    for _ in range(3):
        with pytest.raises(OSError, match=name) as refused:
            (tree.where / "fail" / name).read_bytes()
        assert refused.value.errno == expected
    assert (tree.where / "hello").read_bytes() == b"hello\n"


def test_a_bug_is_one_line_of_the_log(tree: Served) -> None:
    with pytest.raises(OSError, match="bug"):
        (tree.where / "fail" / "bug").read_bytes()

    assert within(2, tree.text)
    assert len(tree.text().splitlines()) == 1
    assert "open /fail/bug: KeyError: 'a bug' at memorytree.py:" in tree.text()


def test_things_are_made_renamed_written_and_removed(tree: Served) -> None:
    box = tree.where / "box"
    (box / "a").mkdir()
    (box / "a" / "file").write_bytes(b"x" * 300_000)
    assert (box / "a" / "file").read_bytes() == b"x" * 300_000
    (box / "a" / "file").rename(box / "moved")
    assert sorted(os.listdir(box)) == ["a", "moved"]
    assert (box / "moved").stat().st_size == 300_000
    (box / "moved").unlink()
    (box / "a").rmdir()
    assert os.listdir(box) == []
    with pytest.raises(FileExistsError):
        (box / "b").mkdir() or (box / "b").mkdir()


def test_an_error_of_the_value_is_the_result_of_close(tree: Served) -> None:
    descriptor = os.open(tree.where / "box" / "value", os.O_WRONLY | os.O_CREAT)
    assert os.write(descriptor, b"refuse this") == 11
    with pytest.raises(OSError, match="Invalid") as refused:
        os.close(descriptor)
    assert refused.value.errno == errno.EINVAL


def test_attributes_that_a_node_does_not_have_are_no_data_and_never_unsupported(
    tree: Served,
) -> None:
    for name in ("user.x", "security.selinux", "system.posix_acl_access", "trusted.y"):
        for path in ("hello", "many", "."):
            with pytest.raises(OSError, match="No data") as refused:
                os.getxattr(tree.where / path, name)
            assert refused.value.errno == errno.ENODATA, name
    assert os.listxattr(tree.where / "hello") == []


def test_a_directory_that_is_read_in_pieces_has_each_name_once(tree: Served) -> None:
    with os.scandir(tree.where / "many") as entries:
        first = [next(entries).name for _ in range(500)]
        rest = [entry.name for entry in entries]
    assert Counter(first + rest) == Counter(f"file{n:04d}" for n in range(1000))


def test_a_poll_wakes_when_something_happened(tree: Served) -> None:
    descriptor = os.open(tree.where / "events", os.O_RDONLY)
    try:
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        assert poll.poll(0) == []
        maker = threading.Timer(0.3, (tree.where / "box" / "new").mkdir)
        maker.start()
        assert poll.poll(5000) == [(descriptor, select.POLLIN)]
        assert os.read(descriptor, 100) == b"made new\n"
        assert poll.poll(0) == []
        maker.join()
    finally:
        os.close(descriptor)


def test_what_the_kernel_forgets_is_forgotten(tree: Served) -> None:
    for _ in range(3):
        for entry in os.scandir(tree.where / "many"):
            entry.stat()
            os.stat(tree.where / "many" / entry.name)
    assert tree.statistics()["known"] > 1000

    def forgotten() -> bool:
        Path("/proc/sys/vm/drop_caches").write_text("2")
        counts = tree.statistics()
        return counts["known"] <= 1 and counts["lookups"] <= 10

    assert within(10, forgotten), tree.statistics()


def test_handles_are_closed(tree: Served) -> None:
    tree.run("find", ".", "-name", "x*")
    tree.run("sh", "-c", "cat many/* > /dev/null")

    assert within(5, lambda: tree.statistics()["files"] <= 1), tree.statistics()
    assert tree.statistics()["directories"] == 0


def test_a_read_only_mount_refuses_changes(tmp_path: Path) -> None:
    with served(tmp_path, "ro") as tree:
        mount = tree.mount()
        assert mount is not None
        assert "ro" in mount.options.split(",")
        for change in (
            (tree.where / "box" / "a").mkdir,
            lambda: (tree.where / "hello").chmod(0o600),
            lambda: os.setxattr(tree.where / "hello", "user.a", b"b"),
        ):
            with pytest.raises(OSError, match="Read-only") as refused:
                change()
            assert refused.value.errno == errno.EROFS


def test_a_read_only_mount_is_told_of_the_first_close_only(tmp_path: Path) -> None:
    with served(tmp_path, "ro") as tree:
        done = tree.run("sh", "-c", "for n in 1 2 3 4 5; do cat hello; done")
        assert done.stdout == b"hello\n" * 5
        asked = tree.requests()
    assert asked["open"] >= 5
    assert asked["flush"] == 1


def _as_nobody(directory: Path, path: str) -> subprocess.CompletedProcess[str]:
    """stat by another user, who starts in *directory*: the way there may be closed to others."""
    return subprocess.run(
        ["/usr/bin/stat", path],
        user=65534,
        group=65534,
        extra_groups=[],
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
        cwd=directory,
    )


@pytest.mark.parametrize(("settings", "seen"), [((), False), (("allow_other",), True)])
def test_others_enter_only_where_it_is_allowed_and_modes_bind_them_all_the_same(
    tmp_path: Path, settings: tuple[str, ...], seen: bool
) -> None:
    tmp_path.chmod(0o755)
    with served(tmp_path, *settings):
        open_to_all = _as_nobody(tmp_path, "mnt/hello")
        closed = _as_nobody(tmp_path, "mnt/private/inside")

    assert (open_to_all.returncode == 0) is seen, open_to_all.stderr
    assert closed.returncode != 0
    assert "Permission denied" in closed.stderr


def test_what_is_deleted_under_both_walks_of_a_path_is_missing_and_never_stale(
    tree: Served,
) -> None:
    for _ in range(3):
        with pytest.raises(FileNotFoundError):
            (tree.where / "fleeting" / "it" / "info").read_bytes()
        with pytest.raises(FileNotFoundError):
            (tree.where / "fleeting" / "it" / "info").stat()


def test_who_holds_a_directory_that_was_deleted_is_told_so_each_time(tree: Served) -> None:
    held = os.open(tree.where / "fleeting" / "it", os.O_PATH)
    try:
        for _ in range(3):
            with pytest.raises(OSError, match="Stale file handle"):
                os.stat("info", dir_fd=held)
    finally:
        os.close(held)
