"""What the store bench does with each tool: one step that is timed, and what goes before and after.

Used by: tests.bench.store_side_by_side. Knows nothing of: time.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.bench import measuring
from tests.support.gotools import GoTools, Roots

GO, OURS, UNSYNCED = "Go", "storagefs", "sync=none"
LAYER, IMAGE = "bench-layer", "bench-image"
Words = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Tool:
    """One of the commands on a store of its own."""

    name: str
    roots: Roots

    def command(self, *words: str) -> list[str]:
        """The whole command line of a verb."""
        if self.name == GO:
            return GoTools(self.roots).command("containers-storage", *words)
        options = ("--storage-opt", "overlay.sync=none") if self.name == UNSYNCED else ()
        return measuring.storagefs(self.roots, *options, *words)


@dataclass(frozen=True, slots=True)
class Scene:
    """Words of the timed command, and of those around it; *goal* limits ours / Go."""

    name: str
    timed: Words
    before: tuple[Words, ...] = ()
    after: tuple[Words, ...] = ()
    goal: float | None = None


def of_layer(base: str, archives: dict[str, Path]) -> Iterator[Scene]:
    """Scenes with the Debian layer *base*; *archives* are its tar, by compression."""
    make, drop = ("create-layer", "--id", "f" * 64), ("delete-layer", "f" * 64)
    for kind, path in archives.items():
        fill = ("applydiff", "--file", str(path), "f" * 64)
        yield Scene(f"apply, {kind}", fill, before=(make,), after=(drop,), goal=1)
    yield Scene("diff, plain", ("diff", "--uncompressed", base), goal=1)
    yield Scene("diff, gzip", ("diff", "--gzip", base))
    yield Scene("changes", ("changes", base))
    fill = ("applydiff", "--file", str(archives["plain"]), "f" * 64)
    yield Scene("delete the layer", drop, before=(make, fill))


def of_records(layers: int) -> Iterator[Scene]:
    """Scenes in a store of so many layers."""
    at = f"at {layers:,} layers"
    make, drop = ("create-container", "--name", "c", IMAGE), ("delete-container", "c")
    yield Scene(f"layers {at}", ("layers",))
    yield Scene(f"create-container {at}", make, after=(drop,))
    yield Scene(f"container {at}", ("container", "c"), before=(make,), after=(drop,))
    yield Scene(f"delete-container {at}", drop, before=(make,))


def play(scene: Scene, tool: Tool, settle: Callable[[], None]) -> measuring.Sample:
    """Run it once; *settle* is called just before the timed command."""
    for words in scene.before:
        measuring.run_quietly(tool.command(*words))
    settle()
    sample = measuring.run_quietly(tool.command(*scene.timed))
    for words in scene.after:
        measuring.run_quietly(tool.command(*words))
    return sample
