"""Notice what other processes change in the store, and take a new snapshot.

Used by: fusefs.session. Knows nothing of: FUSE, the tree; what changed is for its caller to say.
The record and lock files are never opened here: closing one would drop the locks that a library
in this process holds on it. inotify watches their directories; what it cannot watch (a directory
that is not there yet, a kernel without inotify) is compared by stat each half second.
"""

import contextlib
import logging
import os
from collections.abc import Callable, Sequence
from typing import Final, Protocol

import inotify_simple
import trio

from backend.model.snapshot import Snapshot
from fusefs.offload import Offload

log: Final = logging.getLogger("storagefs")

_EVENTS: Final = (
    inotify_simple.flags.MODIFY
    | inotify_simple.flags.ATTRIB
    | inotify_simple.flags.MOVED_TO
    | inotify_simple.flags.MOVED_FROM
    | inotify_simple.flags.CREATE
    | inotify_simple.flags.DELETE
)
_DEBOUNCE: Final = 0.05
_POLL: Final = 0.5
_SECOND_LOOK: Final = 5.0
"""With inotify everywhere: how often to compare all the same (file systems without events)."""


class Watched(Protocol):
    """What is needed of a Store."""

    def snapshot(self) -> Snapshot:
        """The records as they are now."""

    def cached(self) -> Snapshot:
        """The records as last seen."""

    def watched(self) -> Sequence[str]:
        """Files whose change means that the snapshot may be old."""


class Watcher:
    """Calls *changed* in a worker thread, whenever a look at the store found something new."""

    def __init__(self, store: Watched, offload: Offload, changed: Callable[[], None]) -> None:
        self._store, self._offload, self._changed = store, offload, changed
        self._seen = store.cached()
        self._files = tuple(store.watched())
        self._names = {os.path.basename(path) for path in self._files}
        self._wake = trio.Event()
        self._complaint = ""

    def poke(self) -> None:
        """Look soon: we have changed something ourselves."""
        self._wake.set()

    async def run(self) -> None:
        """Watch until cancelled."""
        inotify = _open_inotify()
        if inotify is None:
            await self._look_forever(lambda: _POLL)
            return
        with inotify:
            unwatched = _Directories(inotify, self._files)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._listen, inotify)
                await self._look_forever(lambda: _SECOND_LOOK if unwatched.all_watched() else _POLL)

    async def _listen(self, inotify: inotify_simple.INotify) -> None:
        while True:
            await trio.lowlevel.wait_readable(inotify.fileno())
            events = inotify.read(timeout=0)
            if any(not event.name or event.name in self._names for event in events):
                self._wake.set()

    async def _look_forever(self, interval: Callable[[], float]) -> None:
        stamps = await self._offload.records(_stamps, self._files)
        while True:
            with trio.move_on_after(interval()):
                await self._wake.wait()
            if self._wake.is_set():
                await trio.sleep(_DEBOUNCE)
                self._wake = trio.Event()
                await self._refresh()
                continue
            now = await self._offload.records(_stamps, self._files)
            if now != stamps and await self._refresh():
                stamps = now

    async def _refresh(self) -> bool:
        """Take a snapshot. A store that cannot be read stays as it was last seen: False then."""
        try:
            new = await self._offload.records(self._store.snapshot)
        except Exception as failure:  # noqa: BLE001 - whatever it is, the mount goes on
            if str(failure) != self._complaint:
                log.warning("the store cannot be read again: %s", failure)
                self._complaint = str(failure)
            return False
        self._complaint = ""
        old, self._seen = self._seen, new
        if new is not old:
            await self._offload.records(self._changed)
        return True


class _Directories:
    """The directories of the watched files, taken into inotify as soon as they exist."""

    def __init__(self, inotify: inotify_simple.INotify, files: Sequence[str]) -> None:
        self._inotify = inotify
        self._missing = sorted({os.path.dirname(path) for path in files})

    def all_watched(self) -> bool:
        """Whether inotify now sees every one of them."""
        for directory in tuple(self._missing):
            with contextlib.suppress(OSError):
                self._inotify.add_watch(directory, _EVENTS)
                self._missing.remove(directory)
        return not self._missing


def _open_inotify() -> inotify_simple.INotify | None:
    try:
        return inotify_simple.INotify()
    except OSError as failure:
        log.warning("no inotify (%s): looking twice a second instead", failure)
        return None


def _stamps(files: Sequence[str]) -> list[tuple[int, int, int] | None]:
    """What tells two states of the files apart, without opening them."""
    return [_stamp(path) for path in files]


def _stamp(path: str) -> tuple[int, int, int] | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns
