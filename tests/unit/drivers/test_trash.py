"""Trash: rename first, erase later, and never leave the trash while erasing."""

import contextlib
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from drivers.erase import erase_tree
from drivers.linux import mount, mountinfo, recordlock
from drivers.trash import TrashDirectory, recover_stale


@pytest.fixture
def root(tmp_path: Path) -> str:
    return str(tmp_path / "home" / "tempdirs")


def fill(directory: Path) -> Path:
    (directory / "a" / "b").mkdir(parents=True)
    (directory / "a" / "b" / "file").write_text("x")
    return directory


def test_what_is_taken_is_away_at_once_and_erased_later(root: str, tmp_path: Path) -> None:
    layer = fill(tmp_path / "layer")
    trash = TrashDirectory(root)
    assert trash.take(str(layer))
    assert not layer.exists()
    names = sorted(os.listdir(root))
    assert [name.rpartition("-")[0] for name in names] == ["lock", "temp-dir"]
    assert names[0].removeprefix("lock-") == names[1].removeprefix("temp-dir-")
    assert os.listdir(f"{root}/{names[1]}") == ["0-layer"]
    trash.erase()
    assert not os.path.exists(root)
    trash.erase()


def test_what_is_not_there_is_not_taken_and_leaves_no_trash(root: str, tmp_path: Path) -> None:
    trash = TrashDirectory(root)
    assert not trash.take(str(tmp_path / "missing"))
    assert not os.path.exists(root)


def test_what_cannot_be_looked_at_is_not_taken_for_missing(root: str, tmp_path: Path) -> None:
    (tmp_path / "circle").symlink_to("circle")
    with pytest.raises(OSError, match="symbolic links"):
        TrashDirectory(root).take(str(tmp_path / "circle" / "layer"))


def test_a_link_is_taken_itself_even_if_it_leads_nowhere(root: str, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("nowhere")
    trash = TrashDirectory(root)
    assert trash.take(str(tmp_path / "link"))
    trash.erase()
    assert not os.path.lexists(tmp_path / "link")


def test_links_are_removed_and_not_followed(root: str, tmp_path: Path) -> None:
    precious = fill(tmp_path / "precious")
    layer = fill(tmp_path / "layer")
    (layer / "a" / "out").symlink_to(precious)
    trash = TrashDirectory(root)
    trash.take(str(layer))
    trash.erase()
    assert (precious / "a" / "b" / "file").read_text() == "x"


def test_a_trash_in_use_is_not_recovered_and_a_stale_one_is(root: str, tmp_path: Path) -> None:
    trash = TrashDirectory(root)
    trash.take(str(fill(tmp_path / "layer")))
    stale = Path(root) / "temp-dir-123"
    fill(stale / "0-old")
    recover_stale(root)
    assert not stale.exists()
    assert not os.path.exists(f"{root}/lock-123")
    assert len(os.listdir(root)) == 2
    trash.erase()


def test_a_trash_that_another_process_holds_by_the_go_kind_of_lock_is_left(
    root: str, tmp_path: Path
) -> None:
    fill(Path(root) / "temp-dir-7" / "0-layer")
    holder = (
        "import fcntl,sys\n"
        "f = open(sys.argv[1], 'w'); fcntl.lockf(f, fcntl.LOCK_EX)\n"
        "print('held', flush=True); sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", holder, f"{root}/lock-7"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        assert process.stdout.readline() == b"held\n"
        recover_stale(root)
        assert os.path.exists(f"{root}/temp-dir-7/0-layer/a/b/file")
        process.stdin.close()
    recover_stale(root)
    assert not os.path.exists(root)


def test_recovering_nothing_is_no_error(root: str) -> None:
    recover_stale(root)
    assert not os.path.exists(root)


def test_a_lock_file_that_was_unlinked_meanwhile_does_not_count(root: str) -> None:
    os.makedirs(root)
    fd = os.open(f"{root}/lock-1", os.O_RDWR | os.O_CREAT)
    assert recordlock.try_lock(fd, exclusive=True)
    recover_stale(root)
    assert os.path.exists(f"{root}/lock-1")
    os.close(fd)


def test_a_very_deep_tree_is_erased(root: str, tmp_path: Path) -> None:
    deep = tmp_path / "deep"
    deep.mkdir()
    fd = os.open(deep, os.O_RDONLY)
    for _ in range(3000):
        os.mkdir("d" * 20, dir_fd=fd)
        below = os.open("d" * 20, os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = below
    os.close(fd)
    trash = TrashDirectory(root)
    trash.take(str(deep))
    trash.erase()
    assert not os.path.exists(root)


def test_what_is_written_while_it_is_erased_goes_as_well(root: str, tmp_path: Path) -> None:
    layer = fill(tmp_path / "layer")
    fd = os.open(layer / "a", os.O_RDONLY | os.O_DIRECTORY)
    writing = threading.Event()

    def write() -> None:
        with contextlib.suppress(FileNotFoundError):  # the directory is gone
            for number in range(100_000):
                os.close(os.open(f"new{number}", os.O_CREAT | os.O_WRONLY, dir_fd=fd))
                writing.set()

    peer = threading.Thread(target=write)
    peer.start()
    writing.wait()
    trash = TrashDirectory(root)
    trash.take(str(layer))
    with contextlib.suppress(OSError):  # the peer was quicker, for once
        trash.erase()
    peer.join()
    os.close(fd)
    recover_stale(root)
    assert not os.path.exists(root)


@pytest.mark.root
def test_a_user_erases_an_empty_directory_that_may_not_be_listed(tmp_path: Path) -> None:
    layer = fill(tmp_path / "layer")
    (layer / "closed").mkdir(0)
    no_longer_all_powerful = "--bounding-set=-dac_override,-dac_read_search"
    code = "import sys; from drivers.erase import erase_tree; erase_tree(sys.argv[1])"
    subprocess.run(
        ["setpriv", no_longer_all_powerful, sys.executable, "-c", code, layer], check=True
    )
    assert not layer.exists()


def test_what_cannot_be_erased_is_told_and_left_for_recovery(root: str, tmp_path: Path) -> None:
    layer = fill(tmp_path / "layer")
    trash = TrashDirectory(root)
    trash.take(str(layer))
    (inside,) = Path(root).glob("temp-dir-*/0-layer/a/b")
    if os.geteuid() == 0:
        subprocess.run(["chattr", "+i", inside / "file"], check=True)
    else:
        inside.chmod(0o500)
    with pytest.raises(OSError):
        trash.erase()
    fill(Path(root) / "temp-dir-zzz" / "0-other")
    with pytest.raises(OSError):
        recover_stale(root)
    assert not os.path.exists(f"{root}/temp-dir-zzz")
    if os.geteuid() == 0:
        subprocess.run(["chattr", "-i", inside / "file"], check=True)
    else:
        inside.chmod(0o700)
    recover_stale(root)
    assert not os.path.exists(root)


@pytest.mark.root
def test_a_file_that_may_not_go_is_told_as_such(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    subprocess.run(["chattr", "+i", tmp_path / "file"], check=True)
    try:
        with pytest.raises(PermissionError):
            erase_tree(str(tmp_path / "file"))
    finally:
        subprocess.run(["chattr", "-i", tmp_path / "file"], check=True)


@pytest.mark.root
class TestWithMounts:
    @pytest.fixture
    def mounted(self, tmp_path: Path) -> Iterator[Path]:
        where = tmp_path / "disk"
        where.mkdir()
        mount.mount("disk", str(where), "tmpfs", 0, "size=256k,nr_inodes=64")
        yield where
        for entry in mountinfo.below(str(tmp_path)):
            mount.umount(entry.target, mount.MNT_DETACH)

    def test_a_mount_below_is_taken_off_and_its_content_lives(
        self, root: str, tmp_path: Path, mounted: Path
    ) -> None:
        (mounted / "precious").write_text("x")
        layer = fill(tmp_path / "layer")
        mount.bind(str(mounted), str(layer / "a" / "b"))
        trash = TrashDirectory(root)
        trash.take(str(layer))
        trash.erase()
        assert (mounted / "precious").read_text() == "x"
        assert not os.path.exists(root)

    def test_a_full_file_system_can_be_emptied(self, mounted: Path) -> None:
        layer = fill(mounted / "layer")
        try:
            for number in range(100):
                (layer / "a" / str(number)).touch()
        except OSError:
            pass
        with pytest.raises(OSError, match="No space"):
            (mounted / "one more").mkdir()
        trash = TrashDirectory(str(mounted / "tempdirs"))
        assert trash.take(str(layer))
        trash.erase()
        assert os.listdir(mounted) == []
