"""How the main loop of pyfuse3 waits for the next request: without leaving the task that waits.

Used by: fusefs.serving. Knows nothing of: requests, nodes, what the answers are.

pyfuse3 serves with several tasks. Each takes a lock, waits until the device is readable, gives
the lock to the next task, and answers. With trio's own lock and wait a request costs two switches
of tasks and a round of the event loop, which is more than most answers. While a program walks a
tree the next request comes within microseconds, so it pays to look at the device for a moment
before going to the event loop, and to hand the turn over only when the task that has it waits for
something else. pyfuse3 takes both from its global ``trio`` (pyfuse3.asyncio replaces it as well).
"""

import collections
import select
import time
from collections.abc import Callable
from typing import Any, Final

import pyfuse3
import trio

_MOMENT_MS: Final = 1
"""How long to look at the device where nothing else is under way. Other tasks wait that long."""
_TURN_SECONDS: Final = 0.004
"""How long requests may follow each other before other tasks get their turn."""


def install(busy: Callable[[], bool]) -> None:
    """Let pyfuse3 wait in our way. *busy* tells that worker threads have results to deliver."""
    if getattr(pyfuse3, "trio", None) is trio:
        pyfuse3.trio = _Trio(busy)  # type: ignore[attr-defined]  # the stub does not name it


def restore() -> None:
    """Undo :func:`install`."""
    if isinstance(getattr(pyfuse3, "trio", None), _Trio):
        pyfuse3.trio = trio  # type: ignore[attr-defined]  # the stub does not name it


class Turn:
    """A lock that goes on to a waiter only when its last owner lets the event loop run.

    The one who releases it wakes a waiter; who takes it again before the waiter runs keeps it.
    """

    def __init__(self) -> None:
        self._taken = False
        self._parked: collections.OrderedDict[trio.lowlevel.Task, None] = collections.OrderedDict()
        self._woken = 0

    async def __aenter__(self) -> None:
        while self._taken:
            await self._park()
        self._taken = True

    async def __aexit__(self, *unused: object) -> None:
        self._taken = False
        if self._parked and not self._woken:
            task, _ = self._parked.popitem(last=False)
            self._woken += 1
            trio.lowlevel.reschedule(task)

    async def _park(self) -> None:
        task = trio.lowlevel.current_task()
        self._parked[task] = None

        def abort(_: object) -> trio.lowlevel.Abort:
            del self._parked[task]
            return trio.lowlevel.Abort.SUCCEEDED

        await trio.lowlevel.wait_task_rescheduled(abort)
        self._woken -= 1


class _Readiness:
    """``trio.lowlevel``, with a shorter way to know that the device is readable."""

    def __init__(self, busy: Callable[[], bool]) -> None:
        self._busy = busy
        self._poll: select.poll | None = None
        self._since = 0.0

    def __getattr__(self, name: str) -> Any:
        return getattr(trio.lowlevel, name)

    async def wait_readable(self, fd: int) -> None:
        """Return at once if a request is there or comes in a moment; otherwise as trio does."""
        if self._poll is None:
            self._poll = select.poll()
            self._poll.register(fd, select.POLLIN)
        if self._busy() or time.perf_counter() - self._since > _TURN_SECONDS:
            await trio.lowlevel.checkpoint()
            self._since = time.perf_counter()
            if self._poll.poll(0):
                return
        elif self._poll.poll(_MOMENT_MS):
            return
        await trio.lowlevel.wait_readable(fd)
        self._since = time.perf_counter()


class _Trio:
    """``trio``, with our way to wait."""

    Lock = Turn

    def __init__(self, busy: Callable[[], bool]) -> None:
        self.lowlevel = _Readiness(busy)

    def __getattr__(self, name: str) -> Any:
        return getattr(trio, name)
