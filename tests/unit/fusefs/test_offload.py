import threading
import time

import pytest
import trio

from fusefs.offload import Offload


def _run(story):
    async def main():
        offload = Offload()
        try:
            return await story(offload)
        finally:
            offload.close()

    return trio.run(main)


def test_a_call_runs_on_another_thread_and_its_result_comes_back() -> None:
    async def story(offload: Offload):
        assert await offload.records(divmod, 7, 3) == (2, 1)
        return await offload.data(threading.get_ident)

    assert _run(story) != threading.get_ident()


def test_an_exception_comes_back_whatever_it_is() -> None:
    async def story(offload: Offload):
        for kind in (KeyError, SystemExit, GeneratorExit):

            def fail(kind: type[BaseException] = kind) -> None:
                raise kind

            with pytest.raises(kind):
                await offload.records(fail)
        return await offload.records(str, 1)

    assert _run(story) == "1"


def test_a_lane_that_is_full_of_waiting_calls_does_not_hold_up_the_other() -> None:
    async def story(offload: Offload):
        gate = threading.Event()
        async with trio.open_nursery() as nursery:
            for _ in range(20):
                nursery.start_soon(offload.records, gate.wait)
            with trio.fail_after(5):
                assert await offload.data(str, "through") == "through"
            gate.set()
        return offload.under_way

    assert _run(story) == 0


def test_calls_of_one_lane_run_side_by_side() -> None:
    async def story(offload: Offload):
        together = threading.Barrier(4)
        with trio.fail_after(5):
            async with trio.open_nursery() as nursery:
                for _ in range(4):
                    nursery.start_soon(offload.data, together.wait)

    _run(story)


def test_a_cancelled_wait_ends_at_once_and_its_late_result_is_dropped() -> None:
    async def story(offload: Offload):
        gate = threading.Event()
        with trio.move_on_after(0.05) as scope:
            await offload.records(gate.wait)
        assert scope.cancelled_caught
        gate.set()
        with trio.fail_after(5):
            await offload.idle()
        assert await offload.records(int, "4") == 4

    _run(story)


def test_what_is_done_later_is_done() -> None:
    done = threading.Event()

    async def story(offload: Offload):
        offload.later(done.set)
        deadline = time.monotonic() + 5
        while not done.is_set() and time.monotonic() < deadline:  # noqa: ASYNC110 - a test waits for the world
            await trio.sleep(0.01)

    _run(story)
    assert done.is_set()


def test_a_slow_call_lets_other_tasks_run() -> None:
    async def story(offload: Offload):
        steps: list[str] = []

        async def other() -> None:
            steps.append("other")

        await offload.data(int)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(other)
            await offload.data(time.sleep, 0.05)
            steps.append("slow")
        assert steps == ["other", "slow"]

    _run(story)


def test_results_that_come_just_when_patience_ends_come_once_each() -> None:
    async def story(offload: Offload):
        async def ask(number: int) -> None:
            for step in range(200):
                pause = 0.0003 + (step % 10 - 5) * 0.00002
                assert await offload.data(_after, pause, number + step) == number + step

        with trio.fail_after(30):
            async with trio.open_nursery() as nursery:
                for number in range(4):
                    nursery.start_soon(ask, number * 1000)
        return offload.under_way

    assert _run(story) == 0


def _after(seconds: float, result: int) -> int:
    until = time.perf_counter() + seconds
    while time.perf_counter() < until:
        time.sleep(0)
    return result
