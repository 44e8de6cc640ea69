"""Worker threads: the one bridge from the event loop to code that blocks.

Used by: every module of fusefs that runs in the loop. Knows nothing of: FUSE, nodes, the store.
Rule: a request crosses at most once and does there all that it has to. Lanes, so that a verb that
waits for a store lock cannot keep a read of a file waiting, and a thread that walks into our own
mount to attach something can always be answered by another.

Own threads rather than trio's: one hop costs half of the processor time (80 against 150 µs,
where the thread itself does nothing), and hops are what a request behind passthrough consists of.
"""

import queue
import threading
from collections.abc import Callable
from typing import Final, ParamSpec, TypeVar, cast

import outcome
import trio

P = ParamSpec("P")
T = TypeVar("T")

_RECORDS: Final = 6
_DATA: Final = 12
_MOUNTS: Final = 4
_PATIENCE: Final = 0.001
"""Seconds for which the loop itself waits for the result of the only call under way. What comes
from memory is there by then and costs no switch of tasks (17 instead of 45 µs of processor time);
most of what comes from a disk as well (reading a cold tree takes a third less processor time than
with 0.3 ms, and no less with 3 ms). It holds others up no longer than that, and only the first."""


class _Job:
    """A call under way. ``asleep``: the result is to be delivered, to ``task`` if that is left."""

    __slots__ = ("asleep", "call", "done", "result", "task")

    def __init__(self, call: Callable[[], object]) -> None:
        self.call, self.asleep = call, False
        self.task: trio.lowlevel.Task | None = None
        self.result: outcome.Outcome[object] | None = None
        self.done = threading.Lock()
        self.done.acquire()


class _Lane:
    """Threads that take jobs from one queue; they start as needed and end at close."""

    def __init__(
        self, name: str, limit: int, token: trio.lowlevel.TrioToken, patience: float = 0.0
    ) -> None:
        self._name, self._limit, self._token = name, limit, token
        self._patience = patience
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []
        self.under_way = 0
        """Calls whose result is still out; changed in the loop only."""

    async def run(self, call: Callable[[], object]) -> object:
        job = _Job(call)
        self.under_way += 1
        self._submit(job)
        alone = self.under_way == 1
        if alone and self._patience and job.done.acquire(timeout=self._patience):
            return self._taken(job)
        job.task, job.asleep = trio.lowlevel.current_task(), True
        if job.done.acquire(blocking=False):
            job.asleep = False  # a delivery that is on its way already finds nobody
            return self._taken(job)

        def abandon(_: object) -> trio.lowlevel.Abort:
            job.task = None
            return trio.lowlevel.Abort.SUCCEEDED

        return await trio.lowlevel.wait_task_rescheduled(abandon)

    def _taken(self, job: _Job) -> object:
        self.under_way -= 1
        return cast("outcome.Outcome[object]", job.result).unwrap()

    def later(self, call: Callable[[], object]) -> None:
        self._submit(_Job(call))

    def _submit(self, job: _Job) -> None:
        if self.under_way > len(self._threads) < self._limit or not self._threads:
            thread = threading.Thread(
                target=self._work, name=f"{self._name}-{len(self._threads)}", daemon=True
            )
            self._threads.append(thread)
            thread.start()
        self._jobs.put(job)

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            job.result = outcome.capture(job.call)
            job.done.release()
            if job.asleep:
                try:
                    self._token.run_sync_soon(self._deliver, job)
                except trio.RunFinishedError:
                    return

    def _deliver(self, job: _Job) -> None:
        if not job.asleep:
            return
        self.under_way -= 1
        if job.task is not None:
            trio.lowlevel.reschedule(job.task, job.result)  # type: ignore[arg-type]  # Value | Error is what Outcome means

    def close(self) -> None:
        for _ in self._threads:
            self._jobs.put(None)


class Offload:
    """The worker threads of one mount. Made and used inside the event loop."""

    def __init__(self) -> None:
        token = trio.lowlevel.current_trio_token()
        self._records = _Lane("records", _RECORDS, token)
        self._data = _Lane("data", _DATA, token, _PATIENCE)
        self._mounts = _Lane("mounts", _MOUNTS, token)
        self._lanes = (self._records, self._data, self._mounts)

    async def records(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a call that is short, or may take store locks."""
        return cast("T", await self._records.run(lambda: function(*args, **kwargs)))

    async def data(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a call that reads or writes content and never takes store locks."""
        return cast("T", await self._data.run(lambda: function(*args, **kwargs)))

    async def mounts(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a call that walks into our own tree, or mounts and unmounts there."""
        return cast("T", await self._mounts.run(lambda: function(*args, **kwargs)))

    async def idle(self) -> None:
        """Wait until no call's result is out any more."""
        while self.under_way:  # noqa: ASYNC110 - only at the end of a mount; not worth an Event
            await trio.sleep(0.01)

    def later(self, function: Callable[[], object]) -> None:
        """Run a call that cannot fail (a release) some time soon; nobody waits for it."""
        self._data.later(function)

    @property
    def under_way(self) -> int:
        """Calls whose result is still out."""
        return self._records.under_way + self._data.under_way + self._mounts.under_way

    def close(self) -> None:
        """Let the threads end when their work is done."""
        for lane in self._lanes:
            lane.close()
