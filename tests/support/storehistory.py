"""A store's life in processes of their own that die at one change of a directory each.

Used by: tests of what a stop leaves, as ``python -m tests.support.storehistory BASE DRIVER FIRST
STEP``; see :func:`lives`.
"""

import io
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from itertools import count
from typing import Any, NoReturn

from backend import Store, StoreOptions, open_store
from tests.support.layertars import BASE
from tests.support.ociimage import Entry, layer_tar

MORE = layer_tar([Entry("more", b"more")])
_STOPPED = 9
CHANGES = ("rename", "mkdir", "symlink", "unlink", "rmdir")
"""What the kernel makes visible to others at once, and what a stop may fall between."""


def options(base: str | os.PathLike[str], driver: str) -> StoreOptions:
    """A store below *base*."""
    graph, run = os.path.join(base, "graph"), os.path.join(base, "run")
    return StoreOptions(graph_root=graph, run_root=run, driver=driver, sync="none")


def make(store: Store) -> None:
    """An image of two layers and a container."""
    store.layers.create(names=["base"], writable=False, big_data=[("k", b"v")])
    store.layers.create(names=["top"], parent="base", writable=False)
    store.images.create(names=["i"], layer="top", big_data=[("manifest", b"{}", None)])
    store.containers.create(names=["keep"], image="i")


def everything(store: Store) -> None:
    """Every verb that takes several steps."""
    store.containers.create(names=["c"], image="i", big_data=[("d", b"1")])
    store.layers.create(names=["more"], big_data=[("k", b"v")])
    store.layers.put(io.BytesIO(BASE), names=["put"], parent="top", big_data=[("k", b"v")])
    store.layers.apply_diff("put", io.BytesIO(MORE))
    store.layers.delete("put")
    store.images.create(names=["j"], layer="base", big_data=[("manifest", b"{}", None)])
    store.images.set_names("j", ["jj"])
    store.containers.delete("c")
    store.images.delete("jj")
    store.layers.delete("more")


def die_at(stop: int) -> None:
    """Let the process end, as if killed, instead of making change number *stop*."""
    done = 0

    def counted(real: Callable[..., Any]) -> Callable[..., Any]:
        def change(*words: Any, **named: Any) -> Any:
            nonlocal done
            if done == stop:
                os._exit(_STOPPED)
            done += 1
            return real(*words, **named)

        return change

    for name in CHANGES:
        setattr(os, name, counted(getattr(os, name)))


def lives(live: Callable[[str, str, int], None], words: Sequence[str]) -> int:
    """Let *live* (base, driver, stop) die at one change after the other, until it comes to its end.

    *words* are BASE, DRIVER, FIRST and STEP: the life that is to stop at change N is in BASE/N.
    Returns the last exit code, which is 0 if nothing failed. The first life is a whole one, here:
    what it imports, all others have.
    """
    base, driver, first, step = words
    live(os.path.join(base, "whole"), driver, sys.maxsize)
    for stop in count(int(first), int(step)):
        child = os.fork()  # noqa: TID251 - here is no thread and no lock that a child could keep
        if child == 0:
            _end(lambda: live(os.path.join(base, str(stop)), driver, stop))  # noqa: B023 - at once
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        if code != _STOPPED:
            return code
    raise AssertionError("numbers have no end")


def _end(life: Callable[[], None]) -> NoReturn:
    try:
        life()
    except BaseException:  # noqa: BLE001 - the process ends here, whatever it is
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


def _live(base: str, driver: str, stop: int) -> None:
    with open_store(options(base, driver)) as opened:
        make(opened)
        die_at(stop)
        everything(opened)


if __name__ == "__main__":
    sys.exit(lives(_live, sys.argv[1:]))
