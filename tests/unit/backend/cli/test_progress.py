"""The line about work that takes long."""

import io
import os
import threading
import time
from typing import IO

import pytest

from backend.cli.output import Output
from backend.cli.progress import Progress


class Screen(io.BytesIO):
    """Standard error that is a terminal."""

    def isatty(self) -> bool:
        return True


def progress(error: IO[bytes]) -> Progress:
    assert isinstance(error, io.BytesIO)
    return Progress(Output("x", io.BytesIO(), error), "importing")


@pytest.fixture
def passing_time(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The clock, whose only entry can be set forward."""
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


def test_nothing_is_said_within_a_second_or_where_nobody_looks(passing_time: list[float]) -> None:
    screen, pipe = Screen(), io.BytesIO()
    with progress(screen) as early, progress(pipe) as unseen:
        early.show("one")
        passing_time[0] += 60
        unseen.show("two")

    assert screen.getvalue() == pipe.getvalue() == b""


def test_a_line_is_replaced_now_and_then_and_taken_away_at_the_end(
    passing_time: list[float],
) -> None:
    screen = Screen()
    with progress(screen) as work:
        passing_time[0] += 2
        work.show("one\x1b")
        work.show("too soon")
        passing_time[0] += 1
        work.show("two")

    shown = screen.getvalue().split(b"\r\x1b[K")
    assert shown == [b"", b"importing: one\\x1b", b"importing: two", b""]


def test_what_is_read_is_counted_and_unchanged(passing_time: list[float]) -> None:
    screen, (reading, writing) = Screen(), os.pipe()
    os.write(writing, b"x" * 5000)
    os.close(writing)
    work = progress(screen)
    passing_time[0] += 2

    with os.fdopen(reading, "rb") as pipe, work.reading(pipe) as counted:
        assert counted.read() == b"x" * 5000

    assert b"importing: 4.9 KiB" in screen.getvalue()


def test_what_is_written_is_counted_and_unchanged(passing_time: list[float]) -> None:
    screen, target = Screen(), io.BytesIO()
    work = progress(screen)
    passing_time[0] += 2

    with work.writing(target) as write:
        write(b"y" * 2048)

    assert target.getvalue() == b"y" * 2048
    assert b"importing: 2.0 KiB" in screen.getvalue()


def test_work_that_says_nothing_shows_how_long_it_takes(
    passing_time: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("backend.cli.progress._TICK_SECONDS", 0.001)
    shown = threading.Event()

    class Watched(Screen):
        def flush(self) -> None:
            shown.set()

    screen, pipe = Watched(), io.BytesIO()
    with progress(pipe).ticking(), progress(screen).ticking():
        passing_time[0] += 3
        assert shown.wait(20)

    assert screen.getvalue() == b"\r\x1b[Kimporting: 3 s\r\x1b[K"
    assert pipe.getvalue() == b""
