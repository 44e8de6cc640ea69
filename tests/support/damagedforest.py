"""Stores whose layers stand on each other anyhow, some of them half made, some of them damaged.

Used by: tests of what opening, writing and checking make of any damage.
"""

import io
import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Final, NamedTuple

from hypothesis import strategies as st

from backend import Store, StoreOptions, open_store
from tests.support.ociimage import Entry, layer_tar

ARCHIVE: Final = layer_tar([Entry("file", b"of a layer\n")])
PARTS: Final = ("diff", "items", "l", "link", "lower", "tar-split", "directory")
"""What can be damaged of a layer; what is inside of something else comes first."""

GONE, LEADS_OUT = "gone", "leads out"


class Tree(NamedTuple):
    """One layer. ``parent`` is the place of an earlier one, ``damage`` says what of which part."""

    parent: int | None
    incomplete: bool
    damage: Mapping[str, str]
    has_image: bool
    is_container: bool


@st.composite
def forests(draw: st.DrawFn) -> list[Tree]:
    """Layers, each on none or on an earlier one that is no container's."""
    trees: list[Tree] = []
    for _ in range(draw(st.integers(1, 6))):
        below = [place for place, tree in enumerate(trees) if not tree.is_container]
        parent = draw(st.sampled_from([None, *below]))
        is_container = parent is not None and trees[parent].has_image and draw(st.booleans())
        tree = Tree(
            parent,
            draw(st.booleans()),
            draw(st.dictionaries(st.sampled_from(PARTS), st.sampled_from((GONE, LEADS_OUT)))),
            not is_container and draw(st.booleans()),
            is_container,
        )
        trees.append(tree)
    return trees


class Forest:
    """Such a store below *base*. Object and layer at the same place in *trees* belong together."""

    def __init__(self, base: Path, driver: str, trees: list[Tree]) -> None:
        self.options = StoreOptions(f"{base}/graph", f"{base}/run", driver=driver, sync="none")
        self.outside, self.trees = base / "outside", trees
        self.layers = [f"{place:x}" * 64 for place, _ in enumerate(trees, 1)]
        self.objects = [f"{place:064x}" for place, _ in enumerate(trees, 1)]
        self.records = base / "graph" / f"{driver}-layers"
        self.home = base / "graph" / driver
        (self.outside / "kept").mkdir(parents=True)
        (self.outside / "file").write_bytes(b"of somebody else\n")
        with open_store(self.options) as store:
            for place, tree in enumerate(trees):
                self._grow(store, place, tree)
        self._flag()
        self.short_names = [self._short_name(layer) for layer in self.layers]
        for place, tree in enumerate(trees):
            parts = self.parts(place)
            for part in PARTS:
                if part in parts and part in tree.damage:
                    self._damage(parts[part], tree.damage[part])

    def parts(self, place: int) -> Mapping[str, Path]:
        """Where the parts of a layer are, of those that it has."""
        layer = self.layers[place]
        found = {
            "tar-split": self.records / f"{layer}.tar-split.gz",
            "items": self.records / layer,
            "directory": self.home / layer,
            "l": self.home / "l" / self.short_names[place],
        }
        if self.options.driver == "vfs":
            found["directory"] = self.home / "dir" / layer
        else:
            found |= {name: self.home / layer / name for name in ("diff", "link", "lower")}
        return {part: path for part, path in found.items() if os.path.lexists(path)}

    def _grow(self, store: Store, place: int, tree: Tree) -> None:
        parent = None if tree.parent is None else self.layers[tree.parent]
        if tree.is_container:
            assert tree.parent is not None
            store.containers.create(
                id=self.objects[place], layer_id=self.layers[place], image=self.objects[tree.parent]
            )
        else:
            store.layers.put(
                io.BytesIO(ARCHIVE), id=self.layers[place], parent=parent, big_data=[("k", b"v")]
            )
        if tree.has_image:
            store.images.create(id=self.objects[place], layer=self.layers[place])

    def _flag(self) -> None:
        """Say of layers what the Go tools say until they are whole."""
        path = self.records / "layers.json"
        records = json.loads(path.read_bytes())
        for record in records:
            if self.trees[self.layers.index(record["id"])].incomplete:
                record["flags"] = {"incomplete": True}
        path.write_text(json.dumps(records))  # noqa: TID251 - as a Go tool would

    def _short_name(self, layer: str) -> str:
        link = self.home / layer / "link"
        return link.read_text() if link.exists() else "none"

    def _damage(self, path: Path, how: str) -> None:
        """Take *path* away, or let it lead to what is somebody else's."""
        target = self.outside if path.is_dir() else self.outside / "file"
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)  # noqa: TID251 - in a store of the test's own
        else:
            path.unlink()
        if how == LEADS_OUT:
            path.symlink_to(target)
