"""How far something long has come: one line on standard error, on a terminal, after a second.

Used by: verbs of backend.cli that read, check or delete much. Knows nothing of: what is going on.
"""

import io
import os
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import BinaryIO, Final

from backend.cli.output import Output, human_size, printable

_FIRST_SECONDS: Final = 1.0
_PAUSE_SECONDS: Final = 0.2
_TICK_SECONDS: Final = 1.0
_CLEAR: Final = "\r\x1b[K"


class Progress:
    """The line about one piece of work. ``what`` is in the present: "importing layer"."""

    def __init__(self, output: Output, what: str) -> None:
        self._error, self._what = output.err, what
        self._shows = output.err.isatty()
        self._next = time.monotonic() + _FIRST_SECONDS
        self._shown = False

    def show(self, state: str) -> None:
        """Say *state*, unless that was done just now or the work has only begun."""
        if not self._shows or time.monotonic() < self._next:
            return
        self._next = time.monotonic() + _PAUSE_SECONDS
        self._write(f"{_CLEAR}{printable(f'{self._what}: {state}')}")
        self._shown = True

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, *_: object) -> None:
        """Take the line away."""
        if self._shown:
            self._write(_CLEAR)
            self._shown = False

    @contextmanager
    def reading(self, file: BinaryIO) -> Iterator[BinaryIO]:
        """*file*, telling how much of it was read."""
        if not self._shows:
            yield file
            return
        with self:
            yield io.BufferedReader(_Counted(file, self), 1 << 20)

    @contextmanager
    def writing(self, file: BinaryIO) -> Iterator[Callable[[bytes], object]]:
        """A function that writes to *file*, telling how much was written."""
        if not self._shows or file.isatty():
            yield file.write
            return
        written = 0

        def write(piece: bytes) -> None:
            nonlocal written
            file.write(piece)
            written += len(piece)
            self.show(human_size(written))

        with self:
            yield write

    @contextmanager
    def ticking(self) -> Iterator[None]:
        """Tell how long it takes, where nothing says how far it is."""
        if not self._shows:
            yield
            return
        from threading import Event, Thread

        begun, ended = time.monotonic(), Event()

        def tick() -> None:
            while not ended.wait(_TICK_SECONDS):
                self.show(f"{time.monotonic() - begun:.0f} s")

        ticker = Thread(target=tick, daemon=True)
        with self:
            ticker.start()
            try:
                yield
            finally:
                ended.set()
                ticker.join()

    def _write(self, text: str) -> None:
        self._error.write(text.encode("utf-8", "backslashreplace"))
        self._error.flush()


class _Counted(io.RawIOBase):
    """A file that reports what is read from it."""

    def __init__(self, file: BinaryIO, progress: Progress) -> None:
        super().__init__()
        self._file, self._progress, self._read = file, progress, 0
        self._total = _size_of(file)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: object) -> int:
        view = memoryview(buffer).cast("B")  # type: ignore[arg-type]  # object in typeshed
        piece = self._file.read(len(view))
        view[: len(piece)] = piece
        self._read += len(piece)
        total = f" of {human_size(self._total)}" if self._total else ""
        self._progress.show(f"{human_size(self._read)}{total}")
        return len(piece)


def _size_of(file: BinaryIO) -> int:
    """Bytes in a regular file; 0 for what has no size."""
    found = os.fstat(file.fileno())
    return found.st_size if stat.S_ISREG(found.st_mode) else 0
