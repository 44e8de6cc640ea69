"""A thread that consumes pieces in their order, a few behind at most.

Used by: drivers.archive.apply. Knows nothing of: what is done with a piece.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Final, Self

_BEHIND: Final = 4


class Worker:
    """``give`` waits while the thread is four pieces behind. Use it in a ``with`` statement.

    After a failure of *consume* the thread only drains; ``give`` and ``finish`` raise it.
    """

    def __init__(self, consume: Callable[[bytes], object]) -> None:
        self._consume = consume
        self._pieces: queue.Queue[bytes | None] = queue.Queue(_BEHIND)
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="archive worker", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stop()

    def give(self, piece: bytes) -> None:
        """Let the thread consume *piece*."""
        self._raise()
        self._pieces.put(piece)

    def finish(self) -> None:
        """Wait until all is consumed."""
        self._stop()
        self._raise()

    def _stop(self) -> None:
        if self._thread.is_alive():
            self._pieces.put(None)
            self._thread.join()

    def _raise(self) -> None:
        if self._failure is not None:
            raise self._failure

    def _run(self) -> None:
        while (piece := self._pieces.get()) is not None:
            if self._failure is None:
                try:
                    self._consume(piece)
                except BaseException as error:  # noqa: BLE001 - raised in the thread that waits
                    self._failure = error
