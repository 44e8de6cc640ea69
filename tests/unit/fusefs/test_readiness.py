"""How pyfuse3's main loop waits: a pipe stands for the device."""

import os
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pyfuse3
import pytest
import trio

from fusefs import readiness
from fusefs.readiness import Turn


@pytest.fixture
def device() -> Iterator[tuple[int, int]]:
    ends = os.pipe()
    yield ends
    for end in ends:
        os.close(end)


@pytest.fixture
def busy() -> Iterator[list[bool]]:
    """Install our way to wait; the list's only item tells whether something is under way."""
    state = [False]
    readiness.install(lambda: state[0])
    yield state
    readiness.restore()


def _wait(fd: int) -> Awaitable[None]:
    return pyfuse3.trio.lowlevel.wait_readable(fd)


def _lets_nobody_run(step: Callable[[], Any]) -> bool:
    try:
        step().send(None)
    except StopIteration:
        return True
    return False


def test_pyfuse3_still_takes_what_it_waits_with_from_its_global_trio(busy: list[bool]) -> None:
    del busy
    assert pyfuse3.trio is not trio
    assert pyfuse3.trio.ClosedResourceError is trio.ClosedResourceError
    assert pyfuse3.trio.lowlevel.current_task is trio.lowlevel.current_task
    readiness.restore()
    assert pyfuse3.trio is trio


def test_another_pyfuse3_without_that_global_is_left_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delattr(pyfuse3, "trio")
    readiness.install(lambda: False)
    assert not hasattr(pyfuse3, "trio")
    readiness.restore()


def test_a_request_that_is_there_costs_no_round_of_the_loop(
    device: tuple[int, int], busy: list[bool]
) -> None:
    del busy

    async def story() -> None:
        os.write(device[1], b"x")
        await _wait(device[0])
        assert _lets_nobody_run(lambda: _wait(device[0]))

    trio.run(story)


def test_a_request_that_comes_late_is_waited_for_and_meanwhile_others_run(
    device: tuple[int, int], busy: list[bool]
) -> None:
    del busy

    async def send() -> None:
        await trio.sleep(0.05)
        os.write(device[1], b"x")

    async def story() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(send)
            with trio.fail_after(5):
                await _wait(device[0])

    trio.run(story)


@pytest.mark.parametrize("is_busy", [False, True])
def test_requests_without_end_let_other_tasks_run(
    device: tuple[int, int], busy: list[bool], *, is_busy: bool
) -> None:
    busy[0] = is_busy
    ran = 0

    async def other() -> None:
        nonlocal ran
        while True:
            await trio.lowlevel.checkpoint()
            ran += 1

    async def story() -> None:
        os.write(device[1], b"x")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(other)
            until = time.monotonic() + 0.2
            while time.monotonic() < until:
                await _wait(device[0])
            nursery.cancel_scope.cancel()

    trio.run(story)
    assert ran >= 5


def test_waiting_ends_when_it_is_cancelled_or_the_device_closes(
    device: tuple[int, int], busy: list[bool]
) -> None:
    del busy

    async def close_soon() -> None:
        await trio.sleep(0.05)
        trio.lowlevel.notify_closing(device[0])

    async def story() -> None:
        with trio.move_on_after(0.05) as scope:
            await _wait(device[0])
        assert scope.cancelled_caught
        async with trio.open_nursery() as nursery:
            nursery.start_soon(close_soon)
            with pytest.raises(trio.ClosedResourceError):
                await _wait(device[0])

    trio.run(story)


def test_one_at_a_time_has_the_turn_and_nobody_is_forgotten() -> None:
    turn, inside, served = Turn(), 0, list[int]()

    async def work(number: int) -> None:
        nonlocal inside
        for _ in range(10):
            async with turn:
                inside += 1
                assert inside == 1
                await trio.lowlevel.checkpoint()
                inside -= 1
            served.append(number)
            await trio.lowlevel.checkpoint()

    async def story() -> None:
        with trio.fail_after(5):
            async with trio.open_nursery() as nursery:
                for number in range(5):
                    nursery.start_soon(work, number)

    trio.run(story)
    assert len(served) == 50
    assert set(served) == set(range(5))


def test_who_takes_the_turn_again_at_once_keeps_it_until_it_waits_for_something_else() -> None:
    turn, order = Turn(), list[str]()

    async def reader() -> None:
        async with turn:
            await trio.sleep(0.05)  # the other one waits for the turn now
        for _ in range(3):
            async with turn:
                order.append("reader")
        await trio.sleep(0.05)

    async def other() -> None:
        await trio.sleep(0.01)
        async with turn:
            order.append("other")

    async def story() -> None:
        with trio.fail_after(5):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(reader)
                nursery.start_soon(other)

    trio.run(story)
    assert order == ["reader", "reader", "reader", "other"]


def test_who_stops_waiting_for_the_turn_does_not_get_it() -> None:
    turn = Turn()

    async def story() -> None:
        async with turn:
            with trio.move_on_after(0.02) as scope:
                async with turn:
                    raise AssertionError("two had the turn")
            assert scope.cancelled_caught
        with trio.fail_after(5):
            async with turn:
                pass

    trio.run(story)
