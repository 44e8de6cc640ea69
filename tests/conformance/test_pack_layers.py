"""Archives and sizes of layers as every driver gives them, where the Go tools are no measure."""

import os
from pathlib import Path

import pytest

from drivers.errors import LayerDirectoryError
from drivers.idmap.maps import NO_MAPS, IDMap, MapPair
from drivers.ids import LayerID
from drivers.protocol import Driver, NewLayer
from tests.support.driverlayers import BASE, CHILD, TOP, edit_layer, fill, open_for
from tests.support.gotools import Roots
from tests.support.tarlisting import content, listed, names

pytestmark = [pytest.mark.root, pytest.mark.overlay]

MAPS: MapPair = ((IDMap(0, 100000, 65536),), (IDMap(0, 200000, 65536),))


@pytest.fixture(params=["overlay", "vfs"])
def driver(request: pytest.FixtureRequest, roots: Roots) -> Driver:
    """A driver with a base layer that has one of everything."""
    driver = open_for(roots, request.param)
    driver.create(NewLayer(id=BASE, writable=True))
    edit_layer(driver, BASE, fill)
    return driver


def archive(driver: Driver, layer: LayerID, parent: LayerID | None, maps: MapPair) -> bytes:
    return b"".join(driver.diff(layer, parent, maps=maps))


def test_a_layer_that_only_got_other_owners_changes_nothing(driver: Driver) -> None:
    driver.create_from_template(NewLayer(id=TOP, parent=BASE, writable=True), BASE)
    driver.remap(TOP, NO_MAPS, MAPS)
    assert archive(driver, TOP, BASE, MAPS) == bytes(1024)
    assert driver.diff_size(TOP, BASE, maps=MAPS) == 0
    assert driver.changes(TOP, BASE, maps=MAPS) == []
    assert names(archive(driver, TOP, BASE, NO_MAPS)) != []


def test_a_change_in_a_layer_with_other_owners_has_the_owners_of_its_container(
    driver: Driver,
) -> None:
    driver.create_from_template(NewLayer(id=TOP, parent=BASE, writable=True), BASE)
    driver.remap(TOP, NO_MAPS, MAPS)

    def edit(root: Path) -> None:
        (root / "dir" / "file").write_text("changed")
        (root / "new").write_text("new")
        os.chown(root / "new", 100033, 200033)

    edit_layer(driver, TOP, edit)
    packed = archive(driver, TOP, BASE, MAPS)
    owners = {name: (uid, gid) for name, _, _, uid, gid, *_ in listed(packed)}
    assert owners == {"dir": (0, 0), "dir/file": (1000, 1000), "new": (33, 33)}
    assert content(packed, "dir/file") == b"changed"


def test_the_archive_of_a_layer_against_one_further_down_holds_both_changes(
    driver: Driver,
) -> None:
    driver.create(NewLayer(id=CHILD, parent=BASE, writable=True))
    edit_layer(driver, CHILD, lambda root: (root / "empty").rmdir())
    driver.create(NewLayer(id=TOP, parent=CHILD, writable=True))
    edit_layer(driver, TOP, lambda root: (root / "new").write_text("new"))
    assert names(archive(driver, TOP, BASE, NO_MAPS)) == [".wh.empty", "new"]
    assert names(archive(driver, BASE, TOP, NO_MAPS)) == ["empty", ".wh.new"]
    assert driver.diff_size(TOP, BASE) == 3


def test_a_layer_that_is_not_there_is_named(driver: Driver) -> None:
    with pytest.raises(LayerDirectoryError) as caught:
        next(driver.diff(TOP, None))
    assert caught.value.layer == TOP
    with pytest.raises(LayerDirectoryError):
        driver.diff_size(TOP, BASE)


def test_an_archive_that_is_closed_early_leaves_nothing_open(driver: Driver) -> None:
    driver.create(NewLayer(id=TOP, parent=BASE, writable=True))
    edit_layer(driver, TOP, lambda root: (root / "large").write_bytes(bytes(4 << 20)))
    before = os.listdir("/proc/self/fd")
    for layer, parent in ((TOP, BASE), (TOP, None), (BASE, None), (BASE, TOP)):
        stream = driver.diff(layer, parent)
        next(stream)
        stream.close()
        driver.diff(layer, parent).close()
    assert os.listdir("/proc/self/fd") == before
