"""Locks between threads, between processes, and with locks as the Go tools take them."""

import fcntl
import os
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from backend.errors import LockFileError, LockTimeoutError, ReadOnlyStoreError
from backend.files.lockfile import TOKEN_BYTES, HeldLock, locked

# What a Go tool does: a POSIX record lock on the whole file, held until it is told to stop.
_HOLD = """
import fcntl, sys
file = open(sys.argv[1], "r+b")
fcntl.lockf(file, fcntl.LOCK_EX if sys.argv[2] == "w" else fcntl.LOCK_SH)
print("locked", flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("kind", ["directory", "fifo", "link"])
@pytest.mark.parametrize("exclusive", [True, False])
def test_what_is_no_file_is_not_locked_and_what_it_leads_to_is_not_touched(
    tmp_path: Path, kind: str, *, exclusive: bool
) -> None:
    lock, other = tmp_path / "x.lock", tmp_path / "other"
    other.write_bytes(b"untouched")
    if kind == "directory":
        lock.mkdir()
    elif kind == "fifo":
        os.mkfifo(lock)
    else:
        lock.symlink_to(other)

    with pytest.raises(LockFileError, match=r"x\.lock"), locked(str(lock), exclusive=exclusive):
        pytest.fail("locked")
    assert other.read_bytes() == b"untouched"


@contextmanager
def another_process(path: Path, kind: str) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-c", _HOLD, str(path), kind]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == b"locked\n"
        yield process
    finally:
        process.communicate(timeout=10)


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    path = tmp_path / "layers.lock"
    path.touch(0o644)
    return path


def posix_locks_fail(path: Path, kind: int) -> bool:
    """Whether another process would have to wait."""
    probe = struct.pack("@hhqqi0q", kind, 0, 0, 0, 0)
    with path.open("r+b") as file:
        answer = fcntl.fcntl(file, fcntl.F_GETLK, probe)
    return bool(struct.unpack("@hhqqi0q", answer)[0] != fcntl.F_UNLCK)


@pytest.mark.parametrize(
    ("theirs", "exclusive", "excluded"), [("w", True, 1), ("w", False, 1), ("r", True, 1)]
)
def test_a_lock_of_another_process_excludes_us_and_is_named(
    lock: Path, theirs: str, exclusive: bool, excluded: int
) -> None:
    with another_process(lock, theirs) as process:
        with (
            pytest.raises(LockTimeoutError) as caught,
            locked(str(lock), exclusive=exclusive, seconds=0.05),
        ):
            pytest.fail("locked beside another process")
        assert f"({process.pid})" in caught.value.holder
        assert caught.value.path == str(lock)
    with locked(str(lock), exclusive=exclusive, seconds=5):
        assert excluded


def test_readers_of_two_processes_share(lock: Path) -> None:
    with another_process(lock, "r"), locked(str(lock), exclusive=False, seconds=1) as held:
        assert held is not None


@pytest.mark.parametrize(
    ("exclusive", "kind", "waits"),
    [
        (True, fcntl.F_RDLCK, True),
        (True, fcntl.F_WRLCK, True),
        (False, fcntl.F_WRLCK, True),
        (False, fcntl.F_RDLCK, False),
    ],
)
def test_our_lock_excludes_another_process(
    lock: Path, exclusive: bool, kind: int, waits: bool
) -> None:
    with locked(str(lock), exclusive=exclusive):
        assert posix_locks_fail(lock, kind) is waits
    assert not posix_locks_fail(lock, fcntl.F_WRLCK)


def test_closing_another_descriptor_of_the_file_does_not_unlock(lock: Path) -> None:
    with locked(str(lock), exclusive=True):
        lock.read_bytes()
        assert posix_locks_fail(lock, fcntl.F_WRLCK)


def test_threads_count_without_losing_a_step(lock: Path) -> None:
    counter = lock.with_name("counter")
    counter.write_text("0")

    def step(_: int) -> None:
        with locked(str(lock), exclusive=True, seconds=30):
            counter.write_text(str(int(counter.read_text()) + 1))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(step, range(200)))
    assert counter.read_text() == "200"


def test_readers_of_one_process_share_one_descriptor(lock: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    with locked(str(lock), exclusive=False), locked(str(lock), exclusive=False, seconds=1):
        assert len(os.listdir("/proc/self/fd")) == before + 1
    assert len(os.listdir("/proc/self/fd")) == before


def test_another_thread_is_waited_for_and_named(lock: Path) -> None:
    entered, leave = threading.Event(), threading.Event()

    def hold() -> None:
        with locked(str(lock), exclusive=True):
            entered.set()
            leave.wait(10)

    thread = threading.Thread(target=hold)
    thread.start()
    entered.wait(10)
    with (
        pytest.raises(LockTimeoutError, match="another thread of this process"),
        locked(str(lock), exclusive=False, seconds=0.05),
    ):
        pytest.fail("two threads at once")
    leave.set()
    thread.join()
    with locked(str(lock), exclusive=False, seconds=1) as held:
        assert held is not None


def test_a_waiting_writer_goes_before_new_readers(lock: Path) -> None:
    order: list[str] = []
    started = threading.Event()

    def write() -> None:
        started.set()
        with locked(str(lock), exclusive=True, seconds=10):
            order.append("writer")

    def read() -> None:
        with locked(str(lock), exclusive=False, seconds=10):
            order.append("reader")

    with locked(str(lock), exclusive=False):
        writer = threading.Thread(target=write)
        writer.start()
        started.wait(10)
        while not writers_wait():
            time.sleep(0.001)
        reader = threading.Thread(target=read)
        reader.start()
    writer.join(10)
    reader.join(10)
    assert order == ["writer", "reader"]


def writers_wait() -> bool:
    from backend.files import lockfile

    return any(entry.threads._waiting_writers for entry in lockfile._registry.values())


def test_one_file_under_two_paths_is_one_lock(lock: Path) -> None:
    alias = lock.parent.with_name("alias")
    alias.symlink_to(lock.parent)
    other = alias / lock.name
    with (
        locked(str(lock), exclusive=True),
        pytest.raises(LockTimeoutError),
        locked(str(other), exclusive=True, seconds=0.05),
    ):
        pytest.fail("the same file twice")


def test_a_lock_file_that_was_replaced_is_a_new_lock(lock: Path) -> None:
    with locked(str(lock), exclusive=True):
        pass
    lock.unlink()
    lock.touch()
    with locked(str(lock), exclusive=True, seconds=1):
        assert posix_locks_fail(lock, fcntl.F_WRLCK)


def test_a_token_is_64_bytes_and_never_the_same(lock: Path) -> None:
    with locked(str(lock), exclusive=True) as held:
        assert isinstance(held, HeldLock)
        assert held.token() == b""
        first, second = held.renew_token(), held.renew_token()
        assert held.token() == second != first
    assert len(lock.read_bytes()) == TOKEN_BYTES
    assert int.from_bytes(second[16:20], "little") == os.getpid()


def test_a_reader_cannot_renew_the_token(lock: Path) -> None:
    with locked(str(lock), exclusive=False) as held:
        assert held is not None
        with pytest.raises(ReadOnlyStoreError):
            held.renew_token()


def test_without_create_a_missing_lock_stays_missing(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "layers.lock"
    with locked(str(path), exclusive=False, create=False) as held:
        assert held is None
    assert os.listdir(tmp_path) == []
    with locked(str(path), exclusive=False):
        assert path.stat().st_mode & 0o7777 == 0o644
        assert path.parent.stat().st_mode & 0o7777 == 0o700


def test_nothing_is_left_in_the_registry(lock: Path) -> None:
    from backend.files import lockfile

    with locked(str(lock), exclusive=True):
        assert len(lockfile._registry) == 1
    assert not lockfile._registry
