"""A store's life in a process of its own that dies at a chosen change of a directory.

Used by: tests of what a stop leaves. ``python -m tests.support.storehistory BASE DRIVER STOP``
exits with 9 where it was stopped and with 0 if it came to its end.
"""

import io
import os
import sys
from collections.abc import Callable
from typing import Any

from backend import Store, StoreOptions, open_store
from tests.support.layertars import BASE
from tests.support.ociimage import Entry, layer_tar

MORE = layer_tar([Entry("more", b"more")])
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
                os._exit(9)
            done += 1
            return real(*words, **named)

        return change

    for name in CHANGES:
        setattr(os, name, counted(getattr(os, name)))


if __name__ == "__main__":
    with open_store(options(sys.argv[1], sys.argv[2])) as opened:
        make(opened)
        die_at(int(sys.argv[3]))
        everything(opened)
