"""A process that makes, changes and deletes objects of a store until a moment, and says what stays.

    python -m tests.support.worker ours|theirs NAME DRIVER GRAPH RUN UNTIL

Used by: tests/stateful/test_many_writers.py. It writes a JSON object: what it was told is done.
"""

import itertools
import json
import sys
import time
from pathlib import Path
from typing import Any

from backend import open_store
from tests.support import smallstore
from tests.support.gotools import GoTools, Roots
from tests.support.hands import Hand, Ours, Theirs
from tests.support.ociimage import Entry, layer_tar

BASE = "localhost/shared:1"
"""An image that is there before: every worker gives it data items, and ours names.

The Go command reads the names, and writes them under another lock: it alone loses some.
"""


class RefusedError(AssertionError):
    """A verb that nothing stands against was not done."""


def done(answer: bool, what: str) -> None:
    """Raise RefusedError unless it was done."""
    if not answer:
        raise RefusedError(what)


def live(hand: Hand, name: str, until: float) -> dict[str, Any]:
    """Turns until then; of every three, one is deleted again as a whole."""
    kept: dict[str, Any] = {"images": {}, "containers": {}, "items": {}, "names": [], "turns": 0}
    prefix = name.encode().hex()
    for turn in itertools.count():
        if time.time() >= until:
            return kept
        layer, image, container = (f"{prefix}{kind}{turn:08x}".rjust(64, "0") for kind in "abc")
        content = f"{name} {turn}".encode()
        done(hand.put_layer(layer, "", layer_tar([Entry("f", content)])), "put")
        done(hand.create_image(image, layer, [f"{name}-{turn}"]), "image")
        done(hand.set_item("image", image, "manifest", content), "item")
        done(hand.create_container(container, image, [f"{name}-c{turn}"]), "container")
        where = Path(hand.mount(container))
        (where / "written").write_bytes(content)
        done((where / "f").read_bytes() == content, "read")
        done(hand.unmount(container), "unmount")
        done(hand.set_metadata("container", container, f"{name} {turn}"), "metadata")
        shared = f"{name}-shared-{turn}"
        done(hand.set_item("image", BASE, shared, content), "shared item")
        kept["items"][shared] = content.decode()
        if isinstance(hand, Ours):
            done(hand.add_names("image", BASE, [shared]), "shared name")
            kept["names"].append(shared)
        if turn % 3 == 2:
            done(hand.delete("container", container), "delete container")
            done(hand.delete("image", image), "delete image")
        else:
            kept["images"][image] = [f"{name}-{turn}", layer, content.decode()]
            kept["containers"][container] = [f"{name}-c{turn}", image, f"{name} {turn}"]
        kept["turns"] += 1
    raise AssertionError


def main() -> None:
    """Do what the command line says."""
    who, name, driver, graph, run, until = sys.argv[1:]
    roots = Roots(Path(graph), Path(run))
    if who == "theirs":
        kept = live(Theirs(GoTools(roots, driver, timeout=60)), name, float(until))
    else:
        with open_store(smallstore.options(roots, driver)) as store:
            kept = live(Ours(store), name, float(until))
    print(json.dumps(kept))  # noqa: TID251 - not a file of a store


if __name__ == "__main__":
    main()
