"""A history of operations on a store, each of which says when it is done.

Used by: tests/crash. Run as ``python -m tests.support.acknowledged ROOT RUN MARK SYNC``: writes a
line to the file MARK after each operation, and before one that deletes. Whatever ends it in
between, what was promised must be there, and what is there must be whole.
"""

import io
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from backend import Store, StoreOptions, open_store
from tests.support.ociimage import Entry, layer_tar

ROUNDS: Final = 6
FILES: Final = 12
FILE_BYTES: Final = 9000


def options(graph: Path, run: Path, sync: str = "filesystem") -> StoreOptions:
    """How the store of a history is opened."""
    return StoreOptions(
        graph_root=os.fspath(graph), run_root=os.fspath(run), driver="overlay", sync=sync
    )


def archive(number: int) -> bytes:
    """The layer of one round."""
    data = bytes([number + 65]) * FILE_BYTES
    files = [Entry(f"d{number}/f{index}", data) for index in range(FILES)]
    return layer_tar([Entry(f"d{number}"), *files])


def steps(store: Store) -> Iterator[str]:
    """Do one thing after the other; yields what it was when it is done."""
    parent = None
    for number in range(ROUNDS):
        layer = store.layers.put(io.BytesIO(archive(number)), id=f"{number:064x}", parent=parent)
        yield f"layer {layer.id}"
        image = store.images.create(
            names=(f"image{number}",), layer=layer.id, big_data=(("manifest", b"m" * 500, None),)
        )
        yield f"image {image.id}"
        container = store.containers.create(names=(f"c{number}",), image=image.id)
        yield f"container {container.id}"
        store.images.add_names(image.id, (f"more{number}",))
        yield f"name more{number}"
        if number % 2:
            yield f"going {container.id}"
            store.containers.delete(container.id)
            yield f"gone {container.id}"
        parent = layer.id


def _main(words: Sequence[str]) -> None:
    graph, run, mark, sync = words
    fd = os.open(mark, os.O_WRONLY)
    with open_store(options(Path(graph), Path(run), sync)) as store:
        for done in steps(store):
            os.write(fd, done.encode())
    os.close(fd)


if __name__ == "__main__":
    _main(sys.argv[1:])
