"""One call of a verb: its command line, where it writes, the store that it means.

Used by: every verb. Knows nothing of: what verbs do.
"""

from typing import TYPE_CHECKING, NamedTuple

from backend.cli.grammar import CommandLine, Values
from backend.cli.output import Output
from backend.config import ProcessEnvironment, load_options
from backend.errors import ConfigError
from backend.model.options import StoreOptions
from drivers.errors import StorageError

if TYPE_CHECKING:
    from backend.model.snapshot import Snapshot
    from backend.store import Store


class OpeningError(StorageError):
    """The store cannot be opened; worded as scripts around the Go tool expect it."""

    def __init__(self, cause: StorageError) -> None:
        super().__init__(f"error initializing: {cause}", remedy=cause.remedy)


class Request(NamedTuple):
    """What a verb gets."""

    line: CommandLine
    output: Output
    environment: ProcessEnvironment

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
        if values.on("unshare"):
            raise ConfigError(
                "--unshare",
                "this command does not enter a user namespace",
                remedy="run it inside one: podman unshare storagefs …",
            )
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

    def open_store(self) -> "Store":
        """Open the store for reading."""
        from backend.store import open_store

        try:
            return open_store(self.options())
        except StorageError as error:
            raise OpeningError(error) from error

    def snapshot(self) -> "Snapshot":
        """What the store holds; what cannot be used in it is said on standard error."""
        store = self.open_store()
        try:
            snapshot = store.snapshot()
        finally:
            store.close()
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
