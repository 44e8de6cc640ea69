"""ESTALE for a path that was walked, and ENOENT for a walk that came to nothing twice.

Used by: fusefs.request. Knows nothing of: FUSE, nodes, the store.

Who meets an object that has just been deleted is told ESTALE: the kernel then walks the path once
more, and finds what has the name now. If that is deleted in the middle of the second walk as well,
ESTALE would reach the program, where a plain directory says ENOENT; so the second answer is that.
Who stands on the same node both times came by a descriptor or a working directory: it is stale.
"""

import errno
import time
from collections.abc import Callable
from typing import Final

from fusefs.callers import names_a_path
from fusefs.nodes.base import Caller

_ONE_CALL: Final = 1.0
"""Seconds for which two walks are taken for those of one system call."""


class StaleWalks:
    """Who was told ESTALE a moment ago, and about which node. Touched in the event loop only."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._told: dict[int, tuple[int, float]] = {}

    def errno(self, caller: Caller, ino: int) -> int:
        """What to tell *caller* about node *ino*, which is gone: ESTALE or ENOENT."""
        now = self._clock()
        for thread in [pid for pid, (_, when) in self._told.items() if now - when > _ONE_CALL]:
            del self._told[thread]
        first, _ = self._told.setdefault(caller.pid, (ino, now))
        if first == ino or names_a_path(caller.pid) is False:
            return errno.ESTALE
        del self._told[caller.pid]
        return errno.ENOENT
