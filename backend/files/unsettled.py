"""Layers that are being made or taken away: a name for each, for whoever comes after a crash.

Used by: backend.api.{making,removal}, backend.stores.whole. Knows nothing of: records, files of
layers.

A name is there only while its writer has the layers locked, so what the next one finds was left
by a process that died. Names are not flushed, and where the disk takes none (it may be full) their
writer goes on without: what a stop leaves then is found by garbage collection.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from contextlib import suppress


class Unsettled:
    """The names in *directory*, which is there only as long as they are."""

    def __init__(self, directory: str) -> None:
        self._directory = directory

    def find(self) -> Sequence[str]:
        """What a process that died was making or taking away."""
        try:
            return os.listdir(self._directory)
        except (FileNotFoundError, NotADirectoryError):
            return ()

    def add(self, identifiers: Iterable[str]) -> None:
        """Say that these are begun. Each must be safe as a name."""
        flags = os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW
        with suppress(OSError):
            os.makedirs(self._directory, 0o700, exist_ok=True)
            for identifier in identifiers:
                os.close(os.open(os.path.join(self._directory, identifier), flags, 0o600))

    def clear(self, identifiers: Iterable[str]) -> None:
        """Say that these are as the records say."""
        for identifier in identifiers:
            with suppress(OSError):
                os.unlink(os.path.join(self._directory, identifier))
        with suppress(OSError):
            os.rmdir(self._directory)
