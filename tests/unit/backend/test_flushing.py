"""One flush of a file system serves everyone who waits for it, and nobody too early."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from backend.files.flushing import FlushAhead, SharedFlush, flush_filesystems
from drivers.linux import atomicfile


class Slow:
    """The real flush, made slower and counted."""

    def __init__(self) -> None:
        self.started: list[float] = []
        self.fails = False
        self._real = atomicfile.sync_filesystem

    def __call__(self, path: str) -> None:
        self.started.append(time.monotonic())
        time.sleep(0.1)
        if self.fails:
            self.fails = False
            raise OSError("it failed once")
        self._real(path)


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> Slow:
    counted = Slow()
    monkeypatch.setattr(atomicfile, "sync_filesystem", counted)
    return counted


def test_whoever_comes_while_one_runs_shares_the_next(tmp_path: Path, slow: Slow) -> None:
    shared = SharedFlush()
    asked: list[tuple[float, float]] = []

    def ask(number: int) -> None:
        time.sleep(number * 0.01)
        began = time.monotonic()
        shared.flush(str(tmp_path))
        asked.append((began, time.monotonic()))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(ask, range(8)))
    assert len(slow.started) < 5
    for began, ended in asked:
        assert any(began <= start <= ended - 0.1 for start in slow.started)


def test_a_flush_that_fails_is_the_error_of_one_and_tried_again_by_another(
    tmp_path: Path, slow: Slow
) -> None:
    shared, slow.fails = SharedFlush(), True
    barrier = threading.Barrier(2)

    def ask() -> str:
        barrier.wait()
        try:
            shared.flush(str(tmp_path))
        except OSError as error:
            return str(error)
        return "flushed"

    with ThreadPoolExecutor(2) as pool:
        outcomes = sorted(job.result() for job in [pool.submit(ask), pool.submit(ask)])
    assert outcomes == ["flushed", "it failed once"]


def test_two_places_on_one_file_system_are_flushed_once(tmp_path: Path, slow: Slow) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    flush_filesystems(str(tmp_path / "a"), str(tmp_path / "b"))
    assert len(slow.started) == 1


def test_much_that_is_written_is_flushed_meanwhile_and_little_is_not() -> None:
    asked = threading.Event()
    with FlushAhead(asked.set) as ahead:
        ahead.wrote(1 << 20)
        assert "flush ahead" not in names_of_threads()
        ahead.wrote(1 << 30)
        assert asked.wait(10)
    assert "flush ahead" not in names_of_threads()


def test_a_flush_that_fails_meanwhile_is_told_at_the_end_unless_more_is_wrong() -> None:
    asked = threading.Event()

    def fail() -> None:
        asked.set()
        raise OSError("the disk is broken")

    def write(then: Exception | None = None) -> None:
        asked.clear()
        with FlushAhead(fail) as ahead:
            ahead.wrote(1 << 30)
            assert asked.wait(10)
            if then:
                raise then

    with pytest.raises(OSError, match="the disk is broken"):
        write()
    with pytest.raises(ValueError, match="what failed first"):
        write(ValueError("what failed first"))


def names_of_threads() -> set[str]:
    return {thread.name for thread in threading.enumerate()}
