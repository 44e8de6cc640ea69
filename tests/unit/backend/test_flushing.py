"""One flush of a file system serves everyone who waits for it, and nobody too early."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from backend.files.flushing import SharedFlush, flush_filesystems
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
