"""Cuts operations short at their system calls, one life after the other, and looks at what is left.

Used by: tests/crash and scripts/crash. ``python -m tests.support.crashlives BASE DRIVER WHAT FIRST
STRIDE [OPERATION…]`` in a mount namespace of its own prints one JSON line for each operation; WHAT
is kill or the name of an errno.

In each life one call is not made: the process is killed there, or the call fails. Then a new
process opens the store. Each object must be as before or as after the operation; what was
acknowledged must be as after; the check must find nothing; going on must succeed and lead to where
a whole life leads, to the last file.
"""

import dataclasses
import errno
import json
import os
import pickle
import re
import subprocess
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from backend import Store, open_store
from backend.model.findings import Depth
from drivers.errors import StorageError
from tests.support import gotools, mounttable, syscallgate
from tests.support.crashoperations import (
    FAR_IMAGE,
    FAR_LAYER,
    HIGH,
    OPERATIONS,
    Operation,
    View,
    make,
    options,
    view,
)
from tests.support.syscallgate import GROWERS, KILL, OPENERS, Call

GO_EVERY: Final = 20
"""One life of so many is first looked at by the Go tools."""

_REFUSED: Final = 3


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


class Seen(NamedTuple):
    """What a new process finds, and what is there when it has gone on."""

    first: View
    faults: list[str]
    last: View
    last_faults: list[str]
    files: list[str]
    retried: str


def counts(what: str, call: Call, base: str) -> bool:
    """Whether a life of *what* may end at *call*: one on the store, or on no path."""
    if call.path and not call.path.startswith(base):
        return False
    if what == "kill":
        return not call.reading
    if what == "EMFILE":
        return call.name in OPENERS
    if what in ("ENOSPC", "EDQUOT"):
        return not call.reading and call.name in GROWERS
    return True


class Lives:
    """All lives of all operations on one driver."""

    def __init__(self, base: str, driver: str) -> None:
        self._store, self._template = f"{base}/store", f"{base}/template"
        self._driver = driver
        self._count = 0
        os.makedirs(self._store)
        _in_child(lambda: make(self._store, driver))
        mounttable.unmount_below(self._store)
        os.rename(self._store, self._template)

    def of(self, operation: Operation, what: str, first: int, stride: int) -> Outcome:
        """Cut *operation* short at every *stride*-th call, from about *first* on."""
        outcome = Outcome(operation.name)
        calls: list[Call] = []
        self._restore()
        before = _in_child(lambda: self._before(operation))

        def watch(call: Call) -> int:
            if counts(what, call, self._store):
                calls.append(call)
            return 0

        self._restore()
        ended = self._life(operation, watch)
        if ended.code != 0:
            outcome.wrong.append(f"a whole life: {ended.said}")
            return outcome
        whole = _in_child(lambda: self._look(operation, None))
        outcome.steps = len(calls)
        if whole.faults:
            outcome.wrong.append(f"a whole life: {whole.faults}")
        for step in range(first % (min(stride, len(calls)) or 1), len(calls), stride):
            self._cut(operation, what, step, before, whole, outcome)
        return outcome

    def _cut(
        self, operation: Operation, what: str, step: int, before: View, whole: Seen, out: Outcome
    ) -> None:
        self._restore()
        reached: list[Call] = []

        def decide(call: Call) -> int:
            if not counts(what, call, self._store):
                return 0
            reached.append(call)
            if len(reached) != step + 1:
                return 0
            return KILL if what == "kill" else int(getattr(errno, what))

        after = whole.first
        ended = self._life(operation, decide, before, after)
        out.lives += 1
        where = f"{operation.name}, {what} at {step}"
        if len(reached) > step:
            where += f" ({reached[step].name} {reached[step].path})"
        wrong = [f"{where}: {text}" for text in self._judge_end(what, ended, out)]
        theirs = None
        self._count += 1
        if self._count % GO_EVERY == 0 and what == "kill":
            out.go += 1
            theirs = self._by_go_tools()
        seen = _in_child(lambda: self._look(operation, after))
        if isinstance(seen, str):
            out.wrong += [*wrong, f"{where}: {seen}"]
            return
        if theirs is not None and theirs != _names(seen.first):
            wrong.append(f"{where}: the Go tools see {theirs}, we {_names(seen.first)}")
        acknowledged = ended.code == 0
        judged = _judge(operation, before, whole, seen, acknowledged=acknowledged)
        if theirs is None and (extra := sorted(set(seen.files) ^ set(whole.files))):
            judged.append(f"other files: {extra}")  # the Go tools would leave some of their own
        wrong += [f"{where}: {text}" for text in judged]
        out.wrong += wrong
        same = (seen.first == before, seen.first == after)
        out.as_after += same[1]
        out.as_before += same[0] and not same[1]
        out.between += not any(same)

    def _judge_end(self, what: str, ended: syscallgate.Ended, out: Outcome) -> list[str]:
        if ended.code == 0 and what != "kill":
            out.tolerated += 1
        if ended.code == _REFUSED and what != "kill":
            out.refused += 1
            return [ended.said] if ended.said.startswith("WRONG") else []
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
            try:
                operation.act(store)
            except (StorageError, OSError) as refusal:
                if before is None or after is None:
                    raise
                _after_refusal(operation, store, before, after, refusal)

        return syscallgate.run(prepare, act, decide)

    def _open(self, operation: Operation) -> Store:
        store = open_store(options(self._store, self._driver))
        store.driver  # noqa: B018 - opened here, so that each operation need not
        operation.prepare(store)
        return store

    def _before(self, operation: Operation) -> View:
        with self._open(operation) as store:
            return view(store)

    def _restore(self) -> None:
        mounttable.unmount_below(self._store)
        subprocess.run(["rm", "-rf", self._store], check=True)
        subprocess.run(["cp", "-a", self._template, self._store], check=True)

    def _look(self, operation: Operation, after: View | None) -> Seen:
        """Open the store, look, go on where the operation is not done, write once more, look."""
        place = options(self._store, self._driver)
        with open_store(place) as store:
            first, faults = view(store), _faults(store, operation)
            retried = ""
            if after is not None and (first != after or operation.unseen):
                retried = _retried(operation, store)
        with open_store(place) as store:
            _write_everywhere(store)
        with open_store(place) as store:
            last = view(store)
            return Seen(first, faults, last, _faults(store, None), self._files(), retried)

    def _files(self) -> list[str]:
        found = set()
        for directory, names, files in os.walk(self._store):
            for name in (*names, *files):
                path = os.path.relpath(os.path.join(directory, name), self._store)
                if not path.endswith(".lock") and "/merged/" not in path:
                    found.add(re.sub(r"/l/[A-Z0-9]{26}$", "/l/*", path))
        mounts = [mount.target for mount in mounttable.below(self._store)]
        return sorted(found) + sorted(mounts)

    def _by_go_tools(self) -> list[str]:
        roots = gotools.Roots(Path(self._store, "graph"), Path(self._store, "run"))
        go = gotools.GoTools(roots, self._driver, timeout=30)
        found = []
        for kind in ("layer", "image", "container"):
            found += [f"{kind} {each['id']}" for each in go.storage_json(f"{kind}s", "--json")]
        if f"layer {HIGH}" not in found:
            return sorted(found)
        mounted = go.storage("mount", HIGH).strip()
        os.listdir(mounted)
        go.storage("unmount", HIGH)
        go.storage("diff", HIGH)
        return sorted(found)


def _names(seen: View) -> list[str]:
    """Of the store itself: the Go tools are not told of the other one."""
    far = f"image {FAR_IMAGE}", f"layer {FAR_LAYER}"
    return sorted(key for key in seen if not key.startswith("mount ") and key not in far)


def _after_refusal(
    operation: Operation, store: Store, before: View, after: View, refusal: Exception
) -> None:
    """The same process goes on with the store that has just failed."""
    words = f"{type(refusal).__name__}: {refusal}"
    try:
        now = view(store)
        if odd := _neither(now, before, after, operation.changing):
            words = f"WRONG after {words}: {odd}"
        elif now != after or operation.unseen:
            operation.retry(store)
            if (now := view(store)) != after:
                words = f"WRONG after {words}: tried again: {_neither(now, after, after)}"
    except Exception:  # noqa: BLE001 - told to the parent
        words = f"WRONG after {words}: {traceback.format_exc()}"
    os.write(2, words.encode())
    os._exit(_REFUSED)


def _retried(operation: Operation, store: Store) -> str:
    try:
        operation.retry(store)
    except (StorageError, OSError):
        return traceback.format_exc()
    return ""


def _judge(
    operation: Operation, before: View, whole: Seen, seen: Seen, *, acknowledged: bool
) -> list[str]:
    wrong = list(seen.faults)
    if odd := _neither(seen.first, before, whole.first, operation.changing):
        wrong.append(f"neither old nor new: {odd}")
    if acknowledged and seen.first != whole.first:
        wrong.append("what was acknowledged is lost")
    if seen.retried:
        wrong.append(f"going on: {seen.retried}")
    elif seen.last != whole.last:
        wrong.append(f"going on does not lead there: {_neither(seen.last, whole.last, whole.last)}")
    wrong += [f"at last: {text}" for text in seen.last_faults]
    return wrong


def _neither(now: View, before: View, after: View, changing: str = "") -> list[str]:
    """Objects that are neither as before nor as after; how often one is mounted is a hint."""
    keys = {key for key in {**now, **before, **after} if not key.startswith("mount ")}
    return sorted(
        f"{key[:18]}: {now.get(key)}"
        for key in keys
        if now.get(key) not in (before.get(key), after.get(key))
        and not (changing and key.startswith(changing))
    )


def _faults(store: Store, operation: Operation | None) -> list[str]:
    allowed = operation.halves if operation else frozenset()
    return [
        f"{found.kind} {found.id[:8]}: {found.fault.value}: {found.path}: {found.reason}"
        for found in store.check(Depth.FILES).findings
        if not found.is_note and found.fault not in allowed
    ]


def _write_everywhere(store: Store) -> None:
    """What the next writer of each kind does, and its sweep."""
    layer = store.layers.create()
    image = store.images.create(layer=layer.id)
    container = store.containers.create(image=image.id)
    store.mounts.mount(container.id)
    store.mounts.unmount(container.id)
    store.containers.delete(container.id)
    store.images.delete(image.id)


def _in_child(function: Callable[[], Any]) -> Any:
    """What *function* returns in a process of its own; the traceback as text if it fails."""
    read, write = os.pipe()
    child = os.fork()  # noqa: TID251 - here is no thread and no lock that a child could keep
    if child == 0:
        code = 1
        try:
            try:
                result = function()
            except BaseException:  # noqa: BLE001 - told to the parent
                result = traceback.format_exc()
            with os.fdopen(write, "wb") as pipe:
                pickle.dump(result, pipe)
            code = 0
        finally:
            os._exit(code)
    os.close(write)
    with os.fdopen(read, "rb") as pipe:
        result = pickle.load(pipe)
    os.waitpid(child, 0)
    return result


def main(words: Sequence[str]) -> None:
    """Print one line for each operation."""
    base, driver, what, first, stride, *wanted = words
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", base], check=True)
    lives = Lives(base, driver)
    for place, operation in enumerate(OPERATIONS):
        if not wanted or operation.name in wanted:
            outcome = lives.of(operation, what, int(first) + 7 * place, int(stride))
            print(json.dumps(dataclasses.asdict(outcome)), flush=True)  # noqa: TID251 - no store file


if __name__ == "__main__":
    main(sys.argv[1:])
