"""Who may delete nothing inside an object for a moment: the safety net against ``rm -r``.

Used by: the nodes of objects (they report), passthrough directories (they ask), fusefs.native
(it withdraws what it attached, through ``on_refusal``).
Knows nothing of: FUSE, mounts. Not security: a person who means it waits a few seconds.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from fusefs.nodes.base import Caller, RefusedError

HOLD_SECONDS: Final = 5.0


@dataclass(frozen=True, slots=True)
class ObjectKey:
    """One object of the tree: ``layer``, ``image`` or ``container`` and its full ID."""

    kind: str
    id: str


class DeletionGuard:
    """Remembers who was refused the deletion of an attribute file, for a few seconds.

    Thread-safe. A caller is a user in one process: Caller.pid is that of a thread.
    """

    def __init__(
        self, *, hold_seconds: float = HOLD_SECONDS, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._hold_seconds = hold_seconds
        self._clock = clock
        self._lock = threading.Lock()
        # Object and caller to the moment at which the refusal ends. Touched under the lock.
        self._until: dict[tuple[ObjectKey, int, int], float] = {}
        self.on_refusal: Callable[[ObjectKey, Caller], None] = _nobody_listens
        """Called after each refusal, in the thread of the request."""

    def refuse(self, key: ObjectKey, caller: Caller, name: bytes) -> OSError:
        """Note the refused deletion of attribute file *name*; return the error to raise."""
        with self._lock:
            self._until[key, caller.uid, _process(caller.pid)] = self._clock() + self._hold_seconds
        self.on_refusal(key, caller)
        remedy = f"delete the {key.kind} as a whole: rmdir its directory"
        return RefusedError(f"this belongs to the {key.kind}", name, remedy=remedy)

    def is_held(self, key: ObjectKey, caller: Caller) -> bool:
        """Whether *caller* was refused something in *key* a moment ago."""
        with self._lock:
            if not self._until:
                return False
            self._forget_ended()
            return (key, caller.uid, _process(caller.pid)) in self._until

    def check(self, key: ObjectKey, caller: Caller, name: bytes) -> None:
        """Raise EPERM if *caller* may delete nothing in *key* now."""
        if self.is_held(key, caller):
            reason = f"deletions in this {key.kind} are held back for a few seconds"
            remedy = f"to delete the {key.kind}, rmdir its directory; else wait and try again"
            raise RefusedError(reason, name, remedy=remedy)

    def _forget_ended(self) -> None:
        now = self._clock()
        for held in [held for held, until in self._until.items() if until <= now]:
            del self._until[held]


def _nobody_listens(key: ObjectKey, caller: Caller) -> None:
    del key, caller


def _process(thread: int) -> int:
    """The process that a thread belongs to; the thread itself if it is gone."""
    try:
        with open(f"/proc/{thread}/status", "rb") as status:
            for line in status:
                if line.startswith(b"Tgid:"):
                    return int(line.split()[1])
    except (OSError, ValueError):
        pass
    return thread
