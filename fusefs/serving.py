"""Serve one tree at one mount point until it is unmounted.

Used by: fusefs.session. Knows nothing of: the store, what the tree shows.

Whatever ends the main loop ends the connection at the same moment, so that nobody waits for an
answer that will not come. The mount itself is taken away only when someone asked for that: where
it disappeared by itself, a mirror tool would find an empty directory and delete the other side.
"""

import contextlib
import gc
import logging
import signal
import sys
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import pyfuse3
import trio

from fusefs import readiness, sdnotify
from fusefs.answering import Gate
from fusefs.connection import Connection, Kind
from fusefs.nodes.base import Directory
from fusefs.nodes.journal import Journal
from fusefs.notifier import KernelNotifier
from fusefs.offload import Offload
from fusefs.operations import Operations
from fusefs.request import Boundary

log: Final = logging.getLogger("storagefs")

_INIT_SECONDS: Final = 10.0
_LINGER_SECONDS: Final = 0.5
_DRAIN_SECONDS: Final = 1.0
_IDLE_TASKS: Final = 8
_READ_AHEAD_KIB: Final = 512
_NEW_OBJECTS: Final = 20_000
"""Objects made and not freed before the collector looks at them. Requests leave no cycles: in
200,000 look-ups it found 2,400 objects to free, and took a part in 25 of the loop's time."""


class ServingError(Exception):
    """The tree was mounted and is now dead; the log has the reason."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where and how to mount.

    ``graph_root`` answers statfs. ``ready`` is called when people can see the tree.
    """

    where: str
    graph_root: str
    kind: Kind
    ready: Callable[[], None]
    notify_socket: str = ""


@dataclass(frozen=True, slots=True)
class Bridges:
    """What the parts of a tree may use to leave the event loop."""

    offload: Offload
    notifier: KernelNotifier
    polls_due: Callable[[], None]
    """Call it, in any thread, when what a poll(2) waits for may have come."""
    path_of: Callable[[int], str]
    """Where in the tree an inode number was last seen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tree:
    """What is served, and what goes with it.

    ``gate`` comes before requests, ``changed`` after those that changed something. ``visible``
    learns the device number of the mount when people can see it. ``tasks`` run as long as the
    mount. ``detach``, in a worker thread, makes the mount fit to be unmounted. ``state`` is for
    people.
    """

    root: Directory
    refusals: Journal
    gate: Gate | None = None
    changed: Callable[[], None] = lambda: None
    visible: Callable[[str], None] = lambda _: None
    tasks: Sequence[Callable[[], Awaitable[None]]] = ()
    detach: Callable[[], None] = lambda: None
    state: Callable[[], Mapping[str, Any]] = field(default=dict)


def serve(place: Place, build: Callable[[Bridges], Tree]) -> None:
    """Mount what *build* makes and serve it until it is unmounted.

    Raises what went wrong before ``ready``; ServingError if the mount died later.
    """
    try:
        trio.run(_Serving(place, build).run)
    except BaseExceptionGroup as failures:
        raise _first(failures) from None


class _Serving:
    def __init__(self, place: Place, build: Callable[[Bridges], Tree]) -> None:
        self._place, self._build = place, build
        self._is_ready = False
        self._stopping = False

    async def run(self) -> None:
        token = trio.lowlevel.current_trio_token()
        self._offload = Offload()
        self._notifier = KernelNotifier(is_changing=lambda: self._operations.boundary.changing > 0)

        def polls_due() -> None:
            with contextlib.suppress(trio.RunFinishedError):
                token.run_sync_soon(self._wake_polls, idempotent=True)

        def path_of(ino: int) -> str:
            return self._operations.inodes.path(ino)

        bridges = Bridges(self._offload, self._notifier, polls_due, path_of)
        self._tree = tree = self._build(bridges)
        self._operations = Operations(
            tree.root,
            self._offload,
            Boundary(tree.refusals, read_only=self._place.kind.read_only),
            graph_root=self._place.graph_root,
            gate=tree.gate,
            changed=tree.changed,
        )
        self._connection = Connection(self._operations, self._place.where, self._place.kind)
        try:
            await self._serve()
        finally:
            with trio.CancelScope(shield=True):
                await self._close()

    async def _serve(self) -> None:
        initialised = trio.Event()
        self._operations.on_init = initialised.set
        self._down = trio.Event()
        async with trio.open_nursery() as nursery:
            for task in (self._obey_signals, *self._tree.tasks):
                nursery.start_soon(self._critical, task)
            nursery.start_soon(self._critical, self._attach, initialised)
            await self._critical(self._main_loop)
            nursery.cancel_scope.cancel()

    async def _critical(self, task: Callable[..., Awaitable[None]], *args: object) -> None:
        """Run a part without which the mount cannot be; if it dies, the connection goes first."""
        try:
            await task(*args)
        except BaseException as failure:
            if _is_cancelled(failure):
                raise
            self._connection.abort()
            if not self._is_ready:
                raise
            log.critical("the mount dies: %s", "".join(traceback.format_exception(failure)))
            raise ServingError("the mount is dead") from failure

    async def _main_loop(self) -> None:
        """Answer requests until the connection ends."""
        readiness.install(lambda: self._offload.under_way > 0)
        try:
            await pyfuse3.main(min_tasks=_IDLE_TASKS)
        finally:
            readiness.restore()
            self._down.set()
        if not self._is_ready:
            raise ConnectionAbortedError("the kernel ended the connection at once")

    async def _attach(self, initialised: trio.Event) -> None:
        with trio.fail_after(_INIT_SECONDS):
            await initialised.wait()
        await self._offload.mounts(self._connection.attach)
        self._tree.visible(self._connection.device)
        self._raise_read_ahead()
        gc.set_threshold(_NEW_OBJECTS, 20, 20)
        self._is_ready = True
        self._place.ready()
        sdnotify.notify(self._place.notify_socket, "READY=1", f"STATUS={self._place.where}")

    def _raise_read_ahead(self) -> None:
        """Larger reads: each request costs as much as reading many pages."""
        path = f"/sys/class/bdi/{self._connection.device}/read_ahead_kb"
        with contextlib.suppress(OSError), open(path, "w", encoding="ascii") as file:
            file.write(str(_READ_AHEAD_KIB))

    async def _obey_signals(self) -> None:
        wanted = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)
        with trio.open_signal_receiver(*wanted) as arriving:
            await self._obey(arriving)

    async def _obey(self, arriving: AsyncIterator[int]) -> None:
        async for number in arriving:
            if number == signal.SIGUSR1:
                self._log_state()
            else:
                log.info("unmounting on %s", signal.Signals(number).name)
                await self._stop()
                return

    async def _stop(self) -> None:
        """Unmount. Who still has something open keeps it until we end."""
        sdnotify.notify(self._place.notify_socket, "STOPPING=1")
        await self._detach()
        await self._offload.mounts(self._connection.unmount)
        with trio.move_on_after(_LINGER_SECONDS):
            await self._down.wait()
            return
        await self._drain()
        pyfuse3.terminate()

    async def _detach(self) -> None:
        if not self._stopping:
            self._stopping = True
            await self._offload.mounts(self._tree.detach)

    async def _drain(self) -> None:
        """Let verbs that are under way end, but not for ever."""
        with trio.move_on_after(_DRAIN_SECONDS):
            await self._offload.idle()

    async def _close(self) -> None:
        try:
            await self._drain()
            with trio.move_on_after(_DRAIN_SECONDS):
                await self._detach()
        except Exception:  # noqa: BLE001 - the connection must be closed all the same
            log.warning("while closing: %s", traceback.format_exc())
        if not self._notifier.close():
            self._connection.abort()
            self._notifier.close()
        self._operations.inodes.forget_all()
        self._offload.close()
        self._connection.close()

    def _wake_polls(self) -> None:
        for waiter in self._operations.due_polls():
            self._notifier.wake(waiter)

    def _log_state(self) -> None:
        """What a person wants to know of a mount that behaves strangely."""
        held = self._operations.inodes.statistics()
        log.info(
            "state: inodes %d lookups %d files %d directories %d under way %d requests %s %s",
            held.known,
            held.lookups,
            len(self._operations.files),
            len(self._operations.directories),
            self._offload.under_way,
            dict(self._operations.boundary.requests),
            dict(self._tree.state()),
        )
        for number, frame in sys._current_frames().items():  # noqa: SLF001 - it has no other name
            log.info("thread %d:\n%s", number, "".join(traceback.format_stack(frame)))


def _first(group: BaseException) -> BaseException:
    """The first plain exception in nested groups."""
    while isinstance(group, BaseExceptionGroup):
        group = group.exceptions[0]
    return group


def _is_cancelled(failure: BaseException) -> bool:
    """Whether nothing went wrong: the part was only told to end."""
    if isinstance(failure, BaseExceptionGroup):
        return failure.split(trio.Cancelled)[1] is None
    return isinstance(failure, trio.Cancelled)
