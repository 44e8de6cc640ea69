"""Kills the daemon of a mounted store at its system calls, while somebody works in the tree.

Used by: tests/crash and scripts/crash. ``python -m tests.support.crashmount BASE FIRST STRIDE
[DEED…]`` in a mount namespace of its own prints one JSON line for each deed.

In each life the daemon dies instead of making one call. Its caller must get an error or be right
that it is done. Then a new process opens the store, as in tests.support.crashlives, and a new
daemon serves it: the deed is done there if it was not, and the store is looked at again.
"""

import dataclasses
import errno
import json
import mmap
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

from backend import open_store
from backend.model.findings import Fault
from fusefs import cli
from tests.support import crashlook, mounttable, syscallgate
from tests.support.crashdisk import Memory
from tests.support.crashlives import Outcome, counts, in_child
from tests.support.crashlook import neither
from tests.support.crashstore import BOX, DOOMED_BOX, IMAGE, LOW, View, make, options, view
from tests.support.syscallgate import KILL, Call

_DEAD: Final = (errno.ENOTCONN, errno.ECONNABORTED)
_SECONDS: Final = 20
_DIGITS_OF_GIVEN_IDS: Final = 2
_WAITING, _AT_WORK, _DONE, _REFUSED = range(4)
"""How far the caller is: the byte that it shares with the process that watches the daemon."""


class Deed(NamedTuple):
    """What somebody does at a mount point, and which objects may be half way meanwhile."""

    name: str
    act: Callable[[Path], object]
    halves: frozenset[Fault] = frozenset()
    changing: str = ""


def _written(path: str, text: str) -> Callable[[Path], object]:
    return lambda tree: (tree / path).write_text(text)


DEEDS: Final = (
    Deed("mkdir", lambda tree: (tree / "images/image/containers/web").mkdir()),
    Deed("rmdir", lambda tree: (tree / "containers/box6").rmdir(),
         frozenset((Fault.RECORD, Fault.DATA_MISSING)), f"container {DOOMED_BOX}"),
    Deed("mv", lambda tree: (tree / "containers/box5").rename(tree / "containers/moved")),
    Deed("ln -s", lambda tree: (tree / "images/mine").symlink_to(f"by-id/{IMAGE}")),
    Deed("names", _written(f"layers/{LOW}/names", "x\ny\n")),
    Deed("metadata", _written(f"containers/by-id/{BOX}/metadata", "m")),
    Deed("bigdata", _written(f"containers/by-id/{BOX}/bigdata/new", "w" * 5000)),
    Deed("content", _written(f"containers/by-id/{BOX}/rootfs/new", "w" * 5000)),
)  # fmt: skip


class Lives:
    """All lives of all deeds."""

    def __init__(self, base: str) -> None:
        self._disk = Memory(base)
        self._store, self._tree = self._disk.store, Path(base, "tree")
        self._tree.mkdir()
        in_child(lambda: make(self._store, "overlay"))
        self._disk.keep()
        self._disk.restore()
        self._before = in_child(self._view)

    def of(self, deed: Deed, first: int, stride: int) -> Outcome:
        """Let the daemon die at every *stride*-th call of *deed*, from *first* on."""
        outcome = Outcome(deed.name)
        calls = self._live(deed, None)[0]
        outcome.steps = len(calls)
        whole = in_child(self._view)
        if whole == self._before:
            outcome.wrong.append("a whole life changes nothing")
        for step in range(first % (min(stride, len(calls)) or 1), len(calls), stride):
            self._cut(deed, step, whole, outcome)
        return outcome

    def _cut(self, deed: Deed, step: int, whole: View, out: Outcome) -> None:
        calls, how = self._live(deed, step)
        out.lives += 1
        last = f" ({calls[-1].name} {calls[-1].path})" if calls else ""
        where = f"{deed.name}, kill at {step}{last}"
        seen, wrong = in_child(lambda: self._look(deed.halves))
        if how not in (_DONE, _REFUSED):
            wrong.append("the caller got neither an answer nor the error of a dead daemon")
        if odd := neither(seen, self._before, whole, deed.changing or "layer stray"):
            wrong.append(f"neither old nor new: {odd}")
        if how == _DONE and seen != whole:
            wrong.append("what was acknowledged is lost")
        if seen != whole:
            with self._served():
                deed.act(self._tree)
        out.as_after += seen == whole
        out.as_before += seen == self._before
        out.refused += how == _REFUSED
        at_last, faults = in_child(lambda: self._look(frozenset()))
        wrong += [f"at last: {text}" for text in faults]
        if odd := neither(at_last, whole, whole, "layer stray"):
            wrong.append(f"going on does not lead there: {odd}")
        out.wrong += [f"{where}: {text}" for text in wrong]

    def _live(self, deed: Deed, step: int | None) -> tuple[list[Call], int]:
        """A daemon's life; the calls during the deed, and how that ended."""
        self._disk.restore()
        calls: list[Call] = []
        with mmap.mmap(-1, 1) as shared:
            caller = self._start(deed, shared)

            def decide(call: Call) -> int:
                if shared[0] != _AT_WORK or not counts("kill", call, self._store):
                    return 0
                calls.append(call)
                return KILL if len(calls) - 1 == step else 0

            ended = syscallgate.run(lambda: None, lambda _: self._serve(), decide)
            self._wait_for_caller(caller)
            assert ended.code in (0, -signal.SIGKILL), ended.said
            return calls, shared[0]

    def _wait_for_caller(self, caller: int) -> None:
        """Who hangs in the tree of a dead daemon is freed, having got no answer."""
        until = time.monotonic() + _SECONDS
        while os.waitpid(caller, os.WNOHANG) == (0, 0):
            if time.monotonic() > until:
                mounttable.abort_fuse(self._tree)
                os.waitpid(caller, 0)
                return
            time.sleep(0.01)

    def _serve(self) -> None:
        code = cli.main(["storagefs", *self._words()])
        assert code == 0, code

    def _words(self) -> list[str]:
        where = options(self._store, "overlay")
        roots = ["--graph", where.graph_root, "--run", where.run_root, "-s", "overlay"]
        return [*roots, "mount", "--foreground", str(self._tree)]

    def _start(self, deed: Deed, shared: mmap.mmap) -> int:
        """The process of the caller, who takes the mount away at the end."""
        child = os.fork()  # noqa: TID251 - here is no thread and no lock that a child could keep
        if child:
            return child
        signal.alarm(_SECONDS // 2)
        try:
            _wait_for(self._tree)
            shared[0] = _AT_WORK
            try:
                deed.act(self._tree)
                shared[0] = _DONE
            except OSError as refused:
                shared[0] = _REFUSED if refused.errno in _DEAD else _WAITING
        finally:
            mounttable.unmount_below(self._tree)
            os._exit(0)

    @contextmanager
    def _served(self) -> Iterator[None]:
        """Another daemon."""
        command = [sys.executable, "-m", "fusefs.cli", *self._words()]
        with subprocess.Popen(command, stderr=subprocess.DEVNULL) as daemon:
            try:
                _wait_for(self._tree)
                yield
            finally:
                daemon.terminate()
                daemon.wait(_SECONDS)
                mounttable.unmount_below(self._tree)

    def _look(self, halves: frozenset[Fault]) -> tuple[View, list[str]]:
        """What another process sees, and what the check finds but for *halves*; then it writes."""
        with open_store(options(self._store, "overlay")) as store:
            found = _named(view(store)), crashlook.faults(store, halves)
            crashlook.write_everywhere(store)
            return found

    def _view(self) -> View:
        with open_store(options(self._store, "overlay")) as store:
            return _named(view(store))


def _named(seen: View) -> View:
    """*seen* without counts, and with names for what gets another ID in each life."""
    names: dict[str, str] = {}
    for key, value in seen.items():
        kind, _, id_ = key.partition(" ")
        if len(set(id_)) > _DIGITS_OF_GIVEN_IDS:
            names.setdefault(id_, f"stray {kind}")
            if kind == "container" and isinstance(value, tuple):
                names[id_], names[value[1]] = "new container", "its layer"
    found = {}
    for key, value in seen.items():
        texts = [key, repr(value)]
        for id_, name in names.items():
            texts = [text.replace(id_, name) for text in texts]
        if not key.startswith("mount "):
            found[texts[0]] = texts[1]
    return found


def _wait_for(tree: Path) -> None:
    until = time.monotonic() + _SECONDS
    while time.monotonic() < until:
        mount = mounttable.at(tree)
        if mount is not None and mount.fstype.startswith("fuse") and (tree / "version").read_text():
            return
        time.sleep(0.01)
    raise TimeoutError(f"nothing is mounted at {tree}")


def main(words: Sequence[str]) -> None:
    """Print one line for each deed."""
    base, first, stride, *wanted = words
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", base], check=True)
    lives = Lives(base)
    for place, deed in enumerate(DEEDS):
        if not wanted or deed.name in wanted:
            outcome = lives.of(deed, int(first) + 7 * place, int(stride))
            print(json.dumps(dataclasses.asdict(outcome)), flush=True)  # noqa: TID251 - no store file


if __name__ == "__main__":
    main(sys.argv[1:])
