"""diff of a layer whose directory is a full copy, as nodes."""

import os
from pathlib import Path

import pytest

from backend.store import Store
from drivers.idmap.maps import IDMap
from drivers.ids import LayerID
from fusefs.nodes.base import Directory
from fusefs.nodes.content import Content
from fusefs.nodes.guard import DeletionGuard

from .conftest import CALLER


class NoHolder:
    def take(self, container: str) -> str:
        raise AssertionError("nothing is mounted here")

    def give_back(self, container: str) -> None:
        raise AssertionError("nothing is mounted here")


def shown(store: Store, layer: str) -> list[str]:
    """Names in the ``diff`` of a layer."""
    content = Content(store, NoHolder(), DeletionGuard(), can_mount=False)
    try:
        directory = content.layer_diff(LayerID(layer))
        assert isinstance(directory, Directory)
        opened = directory.open(CALLER)
        return sorted(os.fsdecode(name) for name in opened.names)
    finally:
        content.close()


@pytest.mark.root
def test_a_layer_with_other_owners_shows_only_what_it_changes(store: Store) -> None:
    maps = (IDMap(0, 100_000, 65_536),)
    base = store.layers.create()
    home = Path(store.options.graph_root, "vfs", "dir")
    for name in ("kept", "changed"):
        (home / base.id / name).write_text(name)
    above = store.layers.create(parent=base.id, uid_map=maps, gid_map=maps)
    assert (home / above.id / "kept").stat().st_uid == 100_000
    (home / above.id / "changed").write_text("otherwise")
    store.snapshot()
    assert shown(store, above.id) == ["changed"]
