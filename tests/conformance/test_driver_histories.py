"""Any history of edits: a layer's own content tells as much as a comparison of the merged views."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from drivers.ids import LayerID
from drivers.naive import compare
from drivers.protocol import ChangeKind, Driver, NewLayer
from drivers.trash import TrashDirectory
from tests.support import mounttable
from tests.support.driverlayers import BASE, CHILD, TOP, edit_layer, open_for
from tests.support.gotools import Roots

pytestmark = [pytest.mark.root, pytest.mark.overlay]

NAMES = st.lists(st.sampled_from(["a", "b", "c"]), min_size=1, max_size=3).map("/".join)
EDIT = st.one_of(
    st.tuples(st.sampled_from(["write", "mkdir", "remove", "link", "chmod"]), NAMES),
    st.tuples(st.sampled_from(["rename", "hard"]), NAMES, NAMES),
)
HISTORY = st.lists(EDIT, max_size=12)


def apply(root: Path, history: list[tuple[str, ...]]) -> None:
    """Do what can be done; an edit that the tree does not allow is no edit."""
    for kind, name, *more in history:
        path = root / name
        with contextlib.suppress(OSError):
            match kind:
                case "write":
                    path.write_text(f"{len(history)} {name}")
                case "mkdir":
                    path.mkdir()
                case "remove" if path.is_dir() and not path.is_symlink():
                    _remove(path)
                case "remove":
                    path.unlink()
                case "link":
                    path.symlink_to("a")
                case "chmod":
                    os.chmod(path, 0o700, follow_symlinks=True)
                case "rename":
                    path.rename(root / more[0])
                case "hard":
                    os.link(path, root / more[0], follow_symlinks=False)


def _remove(directory: Path) -> None:
    for entry in directory.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            _remove(entry)
        else:
            entry.unlink()
    directory.rmdir()


@contextlib.contextmanager
def merged(driver: Driver, layer: LayerID) -> Iterator[int]:
    fd = driver.open_merged(layer)
    try:
        yield fd
    finally:
        os.close(fd)


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Driver]:
    root = tmp_path_factory.mktemp("histories")
    yield open_for(Roots(root / "graph", root / "run"), "overlay")
    mounttable.unmount_below(root)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.tuples(HISTORY, HISTORY, HISTORY))
def test_the_listing_explains_every_difference(
    driver: Driver, histories: tuple[list[tuple[str, ...]], ...]
) -> None:
    layers = (BASE, CHILD, TOP)
    try:
        for layer, parent, history in zip(layers, (None, BASE, CHILD), histories, strict=True):
            driver.create(NewLayer(id=layer, parent=parent, writable=True))
            edit_layer(driver, layer, lambda root, edits=history: apply(root, edits))
        told = {change.path: change for change in driver.changes(TOP, CHILD)}
        with merged(driver, CHILD) as old, merged(driver, TOP) as new:
            everything = compare(None, new)
            differences = compare(old, new)
    finally:
        trash = TrashDirectory(driver.new_trash_root(TOP))
        for layer in reversed(layers):
            driver.remove(layer, trash)
        trash.erase()
    parents = {path for change in differences for path in above(change.path)}
    for change in differences:
        if change.path in told or (change.kind is ChangeKind.MODIFY and change.path in parents):
            continue
        assert change.kind is ChangeKind.DELETE
        assert any(
            told[path].kind is ChangeKind.DELETE for path in above(change.path) & told.keys()
        )
    there = {change.path: change.type for change in everything}
    for change in told.values():
        if change.kind is ChangeKind.DELETE:
            assert there.get(change.path, "d") == "d"  # gone, or replaced by a new directory
        else:
            assert there[change.path] == change.type


def above(path: bytes) -> set[bytes]:
    parts = path.split(b"/")
    return {b"/".join(parts[:count]) for count in range(2, len(parts))}
