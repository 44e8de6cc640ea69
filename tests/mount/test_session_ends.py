"""How a session ends: by unmount, by signal, by death of a part, by SIGKILL."""

import contextlib
import errno
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.support import process
from tests.support.served import Served, fuse_holders, served, within

pytestmark = [pytest.mark.root, pytest.mark.fuse, pytest.mark.timeout(60)]


@pytest.fixture
def tree(tmp_path: Path) -> Iterator[Served]:
    with served(tmp_path) as serving:
        yield serving


def _fails_with(path: Path, *numbers: int) -> bool:
    try:
        path.stat()
    except OSError as failure:
        return failure.errno in numbers
    return False


def test_the_daemon_ends_within_two_seconds_of_an_unmount(tree: Served) -> None:
    tree.run("ls", "many")
    process.run(["umount", str(tree.where)])

    assert tree.wait(2) == 0
    assert tree.mount() is None
    assert tree.text() == ""


def test_a_lazy_unmount_lets_those_inside_finish_and_then_the_daemon_ends(tree: Served) -> None:
    inside = os.open(tree.where, os.O_RDONLY | os.O_DIRECTORY)
    process.run(["umount", "-l", str(tree.where)])
    assert len(os.listdir(inside)) > 3
    assert tree.child.poll() is None
    os.close(inside)

    assert tree.wait(2) == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_unmounts_and_ends(tree: Served, number: signal.Signals) -> None:
    tree.child.send_signal(number)

    assert tree.wait(2) == 0
    assert tree.mount() is None


def test_a_signal_ends_it_even_while_someone_is_inside(tree: Served) -> None:
    inside = os.open(tree.where / "many", os.O_RDONLY | os.O_DIRECTORY)
    try:
        tree.child.send_signal(signal.SIGTERM)
        assert tree.wait(4) == 0
        assert tree.mount() is None
        with pytest.raises(OSError, match=r"endpoint|connection") as dead:
            os.stat("file0001", dir_fd=inside)
        assert dead.value.errno in (errno.ENOTCONN, errno.ECONNABORTED)
    finally:
        os.close(inside)


def test_a_signal_asks_for_the_state_and_the_mount_goes_on(tree: Served) -> None:
    tree.run("ls", "many")
    tree.child.send_signal(signal.SIGUSR1)

    assert within(2, lambda: "thread " in tree.text())
    assert "lookups" in tree.text()
    assert (tree.where / "hello").read_bytes() == b"hello\n"


def test_a_part_that_dies_takes_the_connection_along_and_callers_hear_within_a_second(
    tmp_path: Path,
) -> None:
    with served(tmp_path, "die=0.5", "hang") as tree:
        inside = os.open(tree.where, os.O_RDONLY | os.O_DIRECTORY)
        assert within(5, lambda: "the mount dies" in tree.text())
        began = time.monotonic()
        with pytest.raises(OSError, match=r"endpoint|connection") as dead:
            os.stat("box", dir_fd=inside)
        assert time.monotonic() - began < 1
        assert dead.value.errno in (errno.ENOTCONN, errno.ECONNABORTED)
        assert tree.child.poll() is None, "the process is alive: it was not its end that helped"
        assert tree.mount() is not None, "an empty directory in its place would be dangerous"
        os.close(inside)
        tree.child.kill()


def test_a_killed_daemon_leaves_a_dead_mount_and_errors_at_once(tree: Served) -> None:
    descriptor = os.open(tree.where / "hello", os.O_RDONLY)
    tree.child.kill()
    tree.wait(2)

    assert tree.mount() is not None
    assert within(1, lambda: _fails_with(tree.where / "box", errno.ENOTCONN))
    with pytest.raises(OSError, match=r"endpoint|connection") as dead:
        os.fstat(descriptor) and os.getxattr(descriptor, "user.x")
    assert dead.value.errno == errno.ENOTCONN
    with contextlib.suppress(OSError):  # close(2) hears it too
        os.close(descriptor)


def test_no_child_of_the_daemon_holds_the_connection(tmp_path: Path) -> None:
    with served(tmp_path, "child") as tree:
        pid = tree.child.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        assert children, "the test wants a child"
        holders = fuse_holders()
        assert pid in holders
        assert not {int(child) for child in children} & holders
        for child in children:
            os.kill(int(child), signal.SIGKILL)


@pytest.mark.parametrize(
    "rounds", [20, pytest.param(1000, marks=[pytest.mark.slow, pytest.mark.timeout(600)])]
)
def test_random_failures_in_nodes_are_eio_to_programs_and_the_mount_lives(
    tmp_path: Path, rounds: int
) -> None:
    seen: set[int] = set()
    calls = 0
    with served(tmp_path, "faulty=1") as tree:
        for number in range(rounds * 10):
            for use in (
                (tree.where / "hello").read_bytes,
                partial(os.stat, tree.where / "many" / f"file{number % 1000:04d}"),
                lambda: os.listdir(tree.where / "box"),
                (tree.where / "box" / "made").mkdir,
                (tree.where / "box" / "made").rmdir,
            ):
                calls += 1
                try:
                    use()
                except OSError as failure:
                    seen.add(failure.errno or 0)
        assert tree.child.poll() is None, tree.text()[-2000:]
        failures = tree.text().count(" at memorytree.py:")
    assert failures > calls / 500
    assert seen <= {errno.EIO, errno.EEXIST, errno.ENOENT}
    assert errno.EIO in seen


def test_a_daemon_whose_mount_point_vanished_under_it_ends(tree: Served) -> None:
    """Somebody mounts over it and unmounts both."""
    process.run(["mount", "-t", "tmpfs", "none", str(tree.where)])
    process.run(["umount", str(tree.where)])
    assert (tree.where / "hello").read_bytes() == b"hello\n"
    subprocess.run(["umount", str(tree.where)], check=True, timeout=10)

    assert tree.wait(2) == 0
