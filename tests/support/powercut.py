"""Records a history of operations on a recording disk, and looks at every state of that disk.

Used by: tests/crash, scripts/powercut.
"""

import os
import random
import shutil
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from backend import Store, open_store
from backend.model.findings import Depth, Fault
from drivers.errors import StorageError
from tests.support import acknowledged, mounttable, process, recordingdisk
from tests.support.recordingdisk import Entry, Flush, Mark, Write

DISK_BYTES = 64 << 20
_HARMLESS = {Fault.LAYER_UNREFERENCED, Fault.LAYER_UNACCOUNTED}


@dataclass(frozen=True, slots=True)
class History:
    """Every write of a disk, with what was said between them, and the disk before the first."""

    empty: Path
    log: Sequence[Entry]

    @property
    def acknowledged(self) -> int:
        """How many operations were done."""
        return sum(isinstance(entry, Mark) for entry in self.log)

    def gaps(self) -> Sequence[Sequence[Entry]]:
        """What was written and said between two flushes; each gap ends with its flush."""
        gaps: list[list[Entry]] = [[]]
        for entry in self.log:
            gaps[-1].append(entry)
            if isinstance(entry, Flush):
                gaps.append([])
        return gaps


@dataclass(slots=True)
class Seen:
    """What was wrong in how many states: texts that say in which state, and what."""

    states: int = 0
    lost: list[str] = field(default_factory=list)
    damaged: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)

    @property
    def wrong(self) -> tuple[list[str], list[str], list[str]]:
        """What is lost, damaged, and refused."""
        return self.lost, self.damaged, self.refused


def record(base: Path, sync: str) -> History:
    """Run the history of tests.support.acknowledged on a new disk below *base*."""
    image, served = base / "image", base / "served"
    served.mkdir()
    with image.open("wb") as file:
        file.truncate(DISK_BYTES)
    process.run(["mkfs.ext4", "-q", str(image)])
    process.run(["cp", "--sparse=always", str(image), str(base / "empty")])
    disk = recordingdisk.start(served, image, base / "log")
    try:
        with _mounted(served / "disk", base / "fs") as where:
            words = [str(where / "graph"), str(base / "run"), str(served / "mark"), sync]
            process.run([sys.executable, "-m", "tests.support.acknowledged", *words], timeout=100)
    finally:
        _unserve(served)
        disk.wait(20)
    return History(base / "empty", list(recordingdisk.read_log(base / "log")))


def _unserve(served: Path) -> None:
    """Unmount the recording disk, once nobody has the file system on it any more.

    The loop device goes a moment after the last mount of it, and a mount namespace that somebody
    else made meanwhile has a mount of its own.
    """
    until = time.monotonic() + 100
    while process.run(["umount", str(served)], check=False).returncode != 0:
        assert time.monotonic() < until, f"{served} is still in use"
        time.sleep(0.05)


def replay(base: Path, history: History, *, states: int) -> Seen:
    """Look at about *states* states, evenly over the writes of the history."""
    total = sum(isinstance(entry, Write) for entry in history.log)
    every = max(1, total // states)
    replayed, writes = _Replayed(base, history), 0
    for entry in history.log:
        replayed.apply(entry)
        writes += isinstance(entry, Write)
        if isinstance(entry, Write) and writes % every == 0:
            replayed.look(f"write {writes}", [])
    return replayed.seen


def replay_subsets(base: Path, history: History, *, states: int) -> Seen:
    """Look at *states* states of a disk that had written some of what it was not told to flush.

    In each the power fails somewhere between two flushes, and of what was written since the first
    some is there, and the rest is not.
    """
    replayed, gaps, chance = _Replayed(base, history), history.gaps(), random.Random(states)
    looks = Counter(number * len(gaps) // states for number in range(states))
    for number, gap in enumerate(gaps):
        for again in range(looks[number]):
            until = gap[: chance.randint(0, len(gap))]
            kept = [e for e in until if isinstance(e, Mark) or chance.random() < 0.5]
            replayed.look(f"flush {number}, subset {again}", kept)
        for entry in gap:
            replayed.apply(entry)
    return replayed.seen


class _Replayed:
    """The disk as it was at some point of a history."""

    def __init__(self, base: Path, history: History) -> None:
        self.seen = Seen()
        self._base, self._disk, self._promised = base, base / "disk", list[str]()
        shutil.copy(history.empty, self._disk)

    def apply(self, entry: Entry) -> None:
        """Go on by one entry of the log."""
        self._apply(entry, self._disk, self._promised)

    def _apply(self, entry: Entry, disk: Path, promised: list[str]) -> None:
        match entry:
            case Mark(text):
                promised.append(text)
            case Write(offset, data):
                with disk.open("r+b", buffering=0) as file:
                    os.pwrite(file.fileno(), data, offset)

    def look(self, state: str, more: Sequence[Entry]) -> None:
        """Mount the disk as it would be with *more*, and look at the store on it."""
        # A file of its own: the loop device of the last one may not be gone yet, and
        # would be taken again for the same file, with the blocks that it remembers.
        copy, promised = self._base / state, list(self._promised)
        process.run(["cp", "--sparse=always", str(self._disk), str(copy)])
        for entry in more:
            self._apply(entry, copy, promised)
        with _mounted(copy, self._base / "replayed") as where:
            _look(where / "graph", self._base, state, promised, self.seen)
        copy.unlink()


def _look(graph: Path, base: Path, state: str, promised: Sequence[str], seen: Seen) -> None:
    seen.states += 1
    if not graph.is_dir() and not promised:
        return
    run = base / "runs" / state
    try:
        with open_store(acknowledged.options(graph, run)) as store:
            seen.lost += [f"{state}: {what}" for what in _lost(store, promised)]
            report = store.check(Depth.FILES)
            going = {what for kind, what in map(_parts, promised) if kind == "going"}
            wrong = [
                f
                for f in report.findings
                if not f.is_note and f.fault not in _HARMLESS and f.id not in going
            ]
            seen.damaged += [f"{state}: {f.kind} {f.id}: {f.reason}" for f in wrong]
            again = store.layers.create(names=("afterwards",))
            store.layers.delete(again.id)
    except (StorageError, OSError) as error:
        seen.refused.append(f"{state}: {error}")
    finally:
        mounttable.unmount_below(graph)


def _lost(store: Store, promised: Sequence[str]) -> Iterator[str]:
    """What was acknowledged, and is not so."""
    snapshot = store.snapshot()
    there = {
        *(f"layer {layer.id}" for layer in snapshot.layers if not layer.incomplete),
        *(f"image {image.id}" for image in snapshot.images),
        *(f"container {container.id}" for container in snapshot.containers),
        *(f"name {name}" for image in snapshot.images for name in image.names),
    }
    given_up = {what for kind, what in map(_parts, promised) if kind in ("going", "gone")}
    for kind, what in map(_parts, promised):
        if kind == "gone" and f"container {what}" in there:
            yield f"container {what} is there again"
        elif what not in given_up and f"{kind} {what}" not in there:
            yield f"{kind} {what} is lost"


def _parts(text: str) -> tuple[str, str]:
    kind, _, what = text.partition(" ")
    return kind, what


@contextmanager
def _mounted(image: Path, where: Path) -> Iterator[Path]:
    """The ext4 file system in *image*, as after a reboot."""
    where.mkdir(exist_ok=True)
    process.run(["mount", "-t", "ext4", "-o", "loop", str(image), str(where)])
    try:
        yield where
    finally:
        mounttable.unmount_below(where)
        if mounttable.at(where) is not None:
            process.run(["umount", str(where)])
