"""Cuts operations short at their system calls, one life after the other, and looks at what is left.

Used by: tests/crash and scripts/crash. ``python -m tests.support.crashlives BASE DISK DRIVER WHAT
FIRST STRIDE [OPERATION…]`` in a mount namespace of its own prints one JSON line for each operation;
WHAT is kill, short or the name of an errno.

In each life one call is not made: the process is killed there, or the call fails; or the call
writes half of what it was given, which nobody should notice. Then a new process opens the store.
Each object must be as before or as after the operation; what was acknowledged must be as after; the
check must find nothing; going on must succeed and lead to where a whole life leads, to the last
file.
"""

import dataclasses
import errno
import gc
import importlib
import json
import os
import pickle
import subprocess
import sys
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final, TypeVar, cast

from backend import Store, StoreOptions, open_store
from drivers.errors import StorageError
from tests.support import crashlook, syscallgate
from tests.support.crashdisk import DISKS
from tests.support.crashlook import Seen, neither
from tests.support.crashoperations import OPERATIONS, Operation
from tests.support.crashstore import View, make, options, view
from tests.support.syscallgate import GROWERS, KILL, OPENERS, SHORT, WRITERS, Call

T = TypeVar("T")

GO_EVERY: Final = 20
"""One life of so many is first looked at by the Go tools."""

_REFUSED: Final = 3
_VERDICTS: Final = {"kill": KILL, "short": SHORT}


@dataclasses.dataclass(slots=True)
class Outcome:
    """What became of the lives of one operation."""

    operation: str
    steps: int = 0
    lives: int = 0
    as_before: int = 0
    as_after: int = 0
    between: int = 0
    refused: int = 0
    tolerated: int = 0
    go: int = 0
    wrong: list[str] = dataclasses.field(default_factory=list)


def counts(what: str, call: Call, base: str) -> bool:
    """Whether a life of *what* may end at *call*: one on the store, or on no path."""
    if call.path and not call.path.startswith(base):
        return False
    if what == "kill":
        return not call.reading
    if what == "short":
        return call.name in WRITERS
    if what == "EMFILE":
        return call.name in OPENERS
    if what in ("ENOSPC", "EDQUOT"):
        return not call.reading and call.name in GROWERS
    return call.name != "unshare"  # it asks no disk


class Lives:
    """All lives of all operations with one driver on one disk."""

    def __init__(self, base: str, disk: str, driver: str) -> None:
        self._disk = DISKS[disk](base)
        self._store, self._driver = self._disk.store, driver
        self._count = 0
        in_child(lambda: make(self._store, driver))
        self._disk.keep()
        self._disk.restore()
        _import_here(in_child(self._imported))

    def of(self, operation: Operation, what: str, first: int, stride: int) -> Outcome:
        """Cut *operation* short at every *stride*-th call, from about *first* on."""
        outcome = Outcome(operation.name)
        calls: list[Call] = []
        self._disk.restore()
        before, imported = in_child(lambda: self._before(operation))
        _import_here(imported)

        def watch(call: Call) -> int:
            if counts(what, call, self._store):
                calls.append(call)
            return 0

        self._disk.restore()
        ended = self._life(operation, watch)
        if ended.code != 0:
            outcome.wrong.append(f"a whole life: {ended.said}")
            return outcome
        whole = in_child(lambda: self._look(operation, None))
        outcome.steps = len(calls)
        if whole.faults:
            outcome.wrong.append(f"a whole life: {whole.faults}")
        for step in range(first % (min(stride, len(calls)) or 1), len(calls), stride):
            self._cut(operation, what, step, before, whole, outcome)
        return outcome

    def _cut(
        self, operation: Operation, what: str, step: int, before: View, whole: Seen, out: Outcome
    ) -> None:
        self._disk.restore()
        reached: list[Call] = []

        def decide(call: Call) -> int:
            if not counts(what, call, self._store):
                return 0
            reached.append(call)
            if len(reached) != step + 1:
                return 0
            return _VERDICTS.get(what) or int(getattr(errno, what))

        after = whole.first
        ended = self._life(operation, decide, before, after)
        out.lives += 1
        where = f"{operation.name}, {what} at {step}"
        if len(reached) > step:
            where += f" ({reached[step].name} {reached[step].path})"
        wrong = self._judge_end(what, ended, out)
        theirs = None
        self._count += 1
        if self._count % GO_EVERY == 0 and what == "kill" and operation.go:
            out.go += 1
            theirs = crashlook.by_go_tools(self._store, self._driver)
        try:
            seen = in_child(lambda: self._look(operation, after))
        except ChildError as failed:
            out.wrong += [f"{where}: {text}" for text in (*wrong, str(failed))]
            return
        wrong += crashlook.judge(operation, before, whole, seen, acknowledged=ended.code == 0)
        if theirs is not None:
            wrong += theirs(seen.first)
        elif odd := crashlook.differences(whole.files, seen.files):
            wrong.append(f"other files: {odd}")  # the Go tools would leave some of their own
        out.wrong += [f"{where}: {text}" for text in wrong]
        same = (seen.first == before, seen.first == after)
        out.as_after += same[1]
        out.as_before += same[0] and not same[1]
        out.between += not any(same)

    def _judge_end(self, what: str, ended: syscallgate.Ended, out: Outcome) -> list[str]:
        if ended.code == 0 and what != "kill":
            out.tolerated += 1
        if ended.code == _REFUSED and what != "kill":
            out.refused += 1
            is_wrong = what == "short" or ended.said.startswith("WRONG")
            return [ended.said] if is_wrong else []
        good = ended.code == 0 or (what == "kill" and ended.code == -9)
        return [] if good else [f"ended with {ended.code}: {ended.said}"]

    def _life(
        self,
        operation: Operation,
        decide: syscallgate.Decide,
        before: View | None = None,
        after: View | None = None,
    ) -> syscallgate.Ended:
        def prepare() -> Store:
            return self._open(operation)

        def act(store: Store) -> None:
            open_before, words = _descriptors(), ""
            try:
                operation.act(store)
            except (StorageError, OSError) as refusal:
                if before is None or after is None:
                    raise
                words = f"{type(refusal).__name__}: {refusal}"
            if _descriptors() - open_before:
                gc.collect()  # of the refusal itself, say
            left = _descriptors() - open_before
            assert not left, f"still open after {words or 'the end'}: {sorted(left)}"
            if words and before is not None and after is not None:
                _after_refusal(operation, store, before, after, words)

        return syscallgate.run(prepare, act, decide)

    def _open(self, operation: Operation) -> Store:
        store = open_store(self._place(operation))
        store.driver  # noqa: B018 - opened here, so that each operation need not
        operation.prepare(store)
        return store

    def _place(self, operation: Operation) -> StoreOptions:
        place = options(self._store, self._driver)
        return place if operation.settings is None else operation.settings(place)

    def _imported(self) -> list[str]:
        """Which modules a look at the store imports."""
        crashlook.look(self._store, options(self._store, self._driver), OPERATIONS[0], None)
        return sorted(sys.modules)

    def _before(self, operation: Operation) -> tuple[View, list[str]]:
        """What is there before, and which modules the operation imports."""
        with self._open(operation) as store:
            before = view(store)
            operation.act(store)
        return before, sorted(sys.modules)

    def _look(self, operation: Operation, after: View | None) -> Seen:
        return crashlook.look(self._store, self._place(operation), operation, after)


def _descriptors() -> set[tuple[int, str]]:
    """What this process has open."""
    found = set()
    for name in os.listdir("/proc/self/fd"):
        with suppress(FileNotFoundError):  # that of the listing itself
            found.add((int(name), os.readlink(f"/proc/self/fd/{name}")))
    return found


def _after_refusal(
    operation: Operation, store: Store, before: View, after: View, words: str
) -> None:
    """The same process goes on with the store that has just failed."""
    try:
        now = view(store)
        if odd := neither(now, before, after, operation.changing):
            words = f"WRONG after {words}: {odd}"
        elif now != after or operation.unseen:
            operation.retry(store)
            if (now := view(store)) != after:
                words = f"WRONG after {words}: tried again: {neither(now, after, after)}"
    except Exception:  # noqa: BLE001 - told to the parent
        words = f"WRONG after {words}: {traceback.format_exc()}"
    os.write(2, words.encode())
    os._exit(_REFUSED)


def _import_here(modules: Sequence[str]) -> None:
    """Spare the lives to come the time to import them, each by itself."""
    for name in modules:
        with suppress(ImportError):  # of a module that is run, not imported
            importlib.import_module(name)


class ChildError(AssertionError):
    """A function that ran in a process of its own failed; the message is its traceback."""


def in_child(function: Callable[[], T]) -> T:
    """What *function* returns in a process of its own. Raises ChildError."""
    read, write = os.pipe()
    child = os.fork()  # noqa: TID251 - here is no thread and no lock that a child could keep
    if child == 0:
        answer: tuple[T | None, str]
        try:
            answer = function(), ""
        except BaseException:  # noqa: BLE001 - told to the parent
            answer = None, traceback.format_exc()
        with os.fdopen(write, "wb") as pipe:
            pickle.dump(answer, pipe)
        os._exit(0)
    os.close(write)
    with os.fdopen(read, "rb") as pipe:
        result, failure = pickle.load(pipe)
    os.waitpid(child, 0)
    if failure:
        raise ChildError(failure)
    return cast(T, result)


def main(words: Sequence[str]) -> None:
    """Print one line for each operation."""
    base, disk, driver, what, first, stride, *wanted = words
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", base], check=True)
    lives = Lives(base, disk, driver)
    for place, operation in enumerate(OPERATIONS):
        if driver in operation.drivers and (not wanted or operation.name in wanted):
            outcome = lives.of(operation, what, int(first) + 7 * place, int(stride))
            print(json.dumps(dataclasses.asdict(outcome)), flush=True)  # noqa: TID251 - no store file


if __name__ == "__main__":
    main(sys.argv[1:])
