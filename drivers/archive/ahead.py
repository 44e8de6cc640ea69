"""A transformation of bytes in a thread of its own, whose input stays in the calling thread.

Used by: drivers.archive.apply. Knows nothing of: what the transformation does.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Generator, Iterator
from typing import Final

_INPUTS: Final = 4
_OUTPUTS: Final = 8

Transform = Callable[[Iterator[bytes]], Iterator[bytes]]


def ahead(transform: Transform, chunks: Iterator[bytes]) -> Generator[bytes, None, None]:
    """What *transform* makes of *chunks*, computed a few pieces ahead.

    *chunks* is read here, not in the thread: an input that never comes keeps no thread waiting.
    What *transform* raises is raised here. To close the generator ends the thread.
    """
    work = _Work(transform)
    try:
        given = 0
        while True:
            while given < _INPUTS:
                work.inputs.put(next(chunks, None))
                given += 1
            output = work.next_output()
            if output is None:
                return
            if isinstance(output, BaseException):
                raise output
            if output:
                yield output
            else:
                given -= 1
    finally:
        work.stop()


class _Work:
    """The thread. ``inputs`` end with None, and so do outputs.

    An output without bytes says that one input was taken.
    """

    def __init__(self, transform: Transform) -> None:
        self.inputs: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._outputs: queue.Queue[bytes | BaseException | None] = queue.Queue(_OUTPUTS)
        self._ended = self._stopped = False
        self._thread = threading.Thread(
            target=self._run, args=(transform,), name="archive worker", daemon=True
        )
        self._thread.start()

    def next_output(self) -> bytes | BaseException | None:
        """Wait for it. Not to be called again after None."""
        output = self._outputs.get()
        self._ended = output is None
        return output

    def stop(self) -> None:
        """End the thread, whatever it has still to do."""
        self._stopped = True
        self.inputs.put(None)
        while not self._ended:
            self.next_output()
        self._thread.join()

    def _run(self, transform: Transform) -> None:
        try:
            for piece in transform(self._taken()):
                if self._stopped:
                    break
                self._outputs.put(piece)
        except BaseException as error:  # noqa: BLE001 - raised in the thread that waits
            self._outputs.put(error)
        self._outputs.put(None)

    def _taken(self) -> Iterator[bytes]:
        while (chunk := self.inputs.get()) is not None:
            yield chunk
            self._outputs.put(b"")
