"""The safety net against rm -r, and the journal behind errors, events and log."""

import errno
import json
import os
import threading

import pytest

from fusefs.nodes.base import Caller, Ino, RefusedError
from fusefs.nodes.guard import DeletionGuard, ObjectKey
from fusefs.nodes.journal import Event, Journal
from fusefs.nodes.streams import EventsFile
from fusefs.nodes.text import Look

from .conftest import CALLER

WEB = ObjectKey("container", "web")
OTHER = ObjectKey("container", "other")


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def guard(clock: Clock) -> DeletionGuard:
    return DeletionGuard(hold_seconds=5, clock=clock)


def test_a_refused_deletion_holds_back_the_next_ones_for_a_while(
    guard: DeletionGuard, clock: Clock
) -> None:
    guard.check(WEB, CALLER, b"rootfs")
    refusal = guard.refuse(WEB, CALLER, b"info.json")
    assert isinstance(refusal, RefusedError)
    assert (refusal.errno, refusal.filename) == (errno.EPERM, "info.json")
    assert "rmdir" in refusal.remedy
    with pytest.raises(PermissionError):
        guard.check(WEB, CALLER, b"etc")
    clock.now += 5
    guard.check(WEB, CALLER, b"etc")


def test_other_objects_and_other_callers_are_not_held_back(guard: DeletionGuard) -> None:
    guard.refuse(WEB, CALLER, b"info.json")
    guard.check(OTHER, CALLER, b"etc")
    guard.check(WEB, Caller(uid=1000, gid=0, pid=CALLER.pid), b"etc")
    guard.check(WEB, Caller(uid=0, gid=0, pid=1), b"etc")


def test_all_threads_of_a_process_are_one_caller(guard: DeletionGuard) -> None:
    seen: list[int] = []
    thread = threading.Thread(target=lambda: seen.append(threading.get_native_id()))
    alive = threading.Event()

    def work() -> None:
        seen.append(threading.get_native_id())
        alive.wait(10)

    thread = threading.Thread(target=work)
    thread.start()
    while not seen:
        pass
    guard.refuse(WEB, Caller(uid=0, gid=0, pid=seen[0]), b"info.json")
    held = guard.is_held(WEB, Caller(uid=0, gid=0, pid=os.getpid()))
    alive.set()
    thread.join()
    assert held


def test_whoever_attached_something_hears_of_a_refusal(guard: DeletionGuard) -> None:
    heard: list[ObjectKey] = []
    guard.on_refusal = lambda key, _caller: heard.append(key)
    guard.refuse(WEB, CALLER, b"info.json")
    assert heard == [WEB]


def event(number: int) -> Event:
    return Event(event="created", kind="layer", id=f"layer{number}", names=("a",))


def test_a_refusal_is_one_line_of_json() -> None:
    journal = Journal(clock=lambda: 1_700_000_000_123_000_000)
    journal.refused(CALLER, "rmdir", b"/layers/\xff", errno.EBUSY, reason="in use", remedy="wait")
    (line,) = journal.refusals().splitlines()
    assert json.loads(line) == {
        "time": "2023-11-14T22:13:20.123Z",
        "uid": 0,
        "pid": CALLER.pid,
        "operation": "rmdir",
        "path": "/layers/\udcff",
        "errno": "EBUSY",
        "reason": "in use",
        "remedy": "wait",
    }


def test_old_lines_make_room_for_new_ones() -> None:
    journal = Journal(kept=3)
    for number in range(5):
        journal.publish(event(number))
        journal.refused(None, "x", "/", errno.EIO, reason=str(number), remedy="")
    kept = [json.loads(line)["id"] for line in journal.recent().splitlines()]
    assert kept == ["layer2", "layer3", "layer4"]
    assert len(journal.refusals().splitlines()) == 3


def test_a_reader_sees_events_from_the_moment_of_open() -> None:
    journal = Journal()
    journal.publish(event(1))
    file = EventsFile(Ino(5), Look, journal).open(os.O_RDONLY, CALLER)
    assert file.read(0, 4096) == b""
    assert not file.ready()
    journal.publish(event(2))
    assert file.ready()
    first, rest = file.read(0, 10), file.read(10, 4096)
    assert json.loads(first + rest)["id"] == "layer2"
    assert not file.ready()


def test_stat_shows_that_there_are_new_events() -> None:
    journal = Journal()
    node = EventsFile(Ino(5), Look, journal)
    before = node.attributes()
    journal.publish(event(1))
    after = node.attributes()
    assert after.size > before.size
    assert after.mtime_ns >= before.mtime_ns


def test_a_reader_that_is_too_slow_is_told_what_it_lost() -> None:
    journal = Journal(kept=2)
    start = journal.position()
    for number in range(5):
        journal.publish(event(number))
    text, after = journal.events_from(start)
    lines = [json.loads(line) for line in text.splitlines()]
    assert lines[0] == {"event": "lost", "count": 3}
    assert [line["id"] for line in lines[1:]] == ["layer3", "layer4"]
    assert journal.events_from(after) == (b"", after)


def test_listeners_hear_of_each_event_until_they_stop() -> None:
    journal = Journal()
    heard: list[int] = []
    stop = journal.listen(lambda: heard.append(1))
    journal.publish(event(1))
    stop()
    journal.publish(event(2))
    assert heard == [1]
