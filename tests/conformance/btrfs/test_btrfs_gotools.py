"""The btrfs driver and the Go tools on the same layers."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from backend import Store
from drivers.ids import LayerID
from drivers.linux import mountinfo
from drivers.protocol import Driver, NewLayer
from tests.support import btrfs, gochanges
from tests.support.driverlayers import EDITS, NEW, NEXT, edit_layer, fill, show, unpack
from tests.support.gotools import GoTools, Roots

pytestmark = [pytest.mark.root, pytest.mark.btrfs, pytest.mark.gotools]


@pytest.fixture
def tools(roots: Roots) -> Iterator[GoTools]:
    tools = GoTools(roots, driver="btrfs")
    yield tools
    tools.shutdown()


def new_layer(tools: GoTools, parent: str = "") -> LayerID:
    return LayerID(tools.storage("create-layer", *([parent] if parent else [])).strip())


def edit_by_go(tools: GoTools, layer: str, edit: Callable[[Path], object]) -> None:
    edit(Path(tools.storage("mount", layer).strip()))
    tools.storage("unmount", layer)


def test_changes_are_those_that_the_go_tool_lists(tools: GoTools, driver: Driver) -> None:
    base = new_layer(tools)
    edit_by_go(tools, base, fill)
    for name, edit in EDITS.items():
        layer = new_layer(tools, base)
        edit_layer(driver, layer, edit)
        told = tools.run("containers-storage", "changes", layer, check=False)
        if b"not a directory" in told.stderr:  # release 1.43 gives up: a file became a directory
            continue
        theirs = gochanges.parse(os.fsdecode(told.stdout))
        letters = {(change.kind.name[:1], change.path) for change in driver.changes(layer, base)}
        ours = {("C" if kind == "M" else kind, path) for kind, path in letters}
        assert ours == theirs, name


def test_layers_of_either_are_used_and_deleted_by_the_other(tools: GoTools, store: Store) -> None:
    base = new_layer(tools)
    edit_by_go(tools, base, fill)
    ours = store.layers.create(parent=base, writable=True).id
    edit_layer(store.driver, ours, lambda root: (root / "file").write_text("ours"))
    theirs = new_layer(tools, ours)
    edit_by_go(tools, theirs, lambda root: os.link(root / "file", root / "theirs"))
    assert show(store.driver, theirs)["theirs"] == "ours"
    for layer in (base, ours, theirs):
        with store.layers.diff(layer) as pieces:
            mine = b"".join(pieces)
        assert mine == tools.run("containers-storage", "diff", "-u", layer).stdout
    assert tools.storage("mount", ours).strip() == store.driver.diff_directory(ours)
    tools.storage("unmount", ours)
    edit_layer(store.driver, theirs, btrfs.nest)
    store.layers.delete(theirs)
    edit_layer(store.driver, ours, btrfs.nest)
    tools.storage("delete-layer", ours)
    store.layers.delete(base)
    assert list(store.driver.list_layers()) == []
    assert tools.storage("layers").strip() == ""


def test_the_home_that_the_go_tool_mounts_is_no_obstacle(tools: GoTools, driver: Driver) -> None:
    base = new_layer(tools)
    assert mountinfo.at(driver.home) is not None
    staged = driver.stage(NewLayer(id=NEXT, parent=base))
    unpack(staged.place, NEW)
    driver.cleanup()
    assert mountinfo.at(driver.home) is None
    staged.commit()
    assert show(driver, NEXT)["dir/file"] == "from the archive"
