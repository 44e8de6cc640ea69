"""One call of a verb: its command line, where it writes, the store that it means.

Used by: every verb. Knows nothing of: what verbs do.
"""

import os
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from backend.cli.grammar import CommandLine, Values, Verb
from backend.cli.output import Output
from backend.config import ProcessEnvironment, load_options
from backend.errors import ConfigError, of_system
from backend.model.options import StoreOptions
from drivers.errors import StorageError

if TYPE_CHECKING:
    from backend.model.snapshot import Snapshot
    from backend.store import Store


class OpeningError(StorageError):
    """The store cannot be opened; worded as scripts around the Go tool expect it."""

    def __init__(self, cause: str, remedy: str = "") -> None:
        super().__init__(f"error initializing: {cause}", remedy=remedy)


class Request(NamedTuple):
    """What a verb gets; ``verbs`` are all that this program has."""

    line: CommandLine
    output: Output
    environment: ProcessEnvironment
    verbs: Sequence[Verb] = ()

    @property
    def values(self) -> Values:
        """The flags."""
        return self.line.values

    @property
    def json(self) -> bool:
        """Whether JSON is wanted."""
        return self.values.on("json")

    def options(self, *, graph_root: str = "", read_only: bool = True) -> StoreOptions:
        """Which store is meant: flags, environment, files. *graph_root* wins over the flag."""
        values = self.values
        return load_options(
            graph_root=graph_root or values.text("graph"),
            run_root=values.text("run"),
            image_store=values.text("image-store"),
            driver=values.text("storage-driver"),
            driver_options=values.items("storage-opt"),
            transient=values.on("transient-store") or None,
            lock_timeout=self._lock_timeout(),
            read_only=read_only,
            environment=self.environment,
        )

    def open_store(self, *, read_only: bool = True) -> "Store":
        """Open the store. Only one that may be written to is made where there is none.

        To read one that is not there yet is no error, as with the Go tool; a person is told.
        """
        from backend.store import open_store

        try:
            store = open_store(self.options(read_only=read_only), may_be_missing=True)
        except StorageError as error:
            raise OpeningError(str(error), error.remedy) from error
        except OSError as error:
            raise OpeningError(of_system(error)) from error
        root = store.options.graph_root
        if read_only and self.output.err.isatty() and not os.path.isdir(root):
            self.output.error(f"{root}: no store is there yet", "see storagefs config --origin")
        return store

    def snapshot(self) -> "Snapshot":
        """What the store holds; what cannot be used in it is said on standard error.

        As with the Go tool a list puts right what the next change would, where it may.
        """
        with self.open_store() as store:
            snapshot = store.snapshot()
        if snapshot.problems:
            with suppress(StorageError, OSError), self.open_store(read_only=False) as store:
                snapshot = store.snapshot()
        for problem in snapshot.problems:
            what = f"{problem.kind} {problem.id}".rstrip()
            self.output.error(f"{what}: {problem.path}: {problem.reason}", problem.remedy)
        return snapshot

    def _lock_timeout(self) -> float | None:
        text = self.values.text("lock-timeout")
        if not text:
            return None
        try:
            seconds = float(text)
        except ValueError:
            seconds = -1
        if not 0 <= seconds < float("inf"):
            raise ConfigError("--lock-timeout", f"{text!r} is no number of seconds")
        return seconds
