"""What the overlay driver says of the small files of layers, mends, and takes away with them."""

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from drivers.ids import LayerID
from drivers.powers import ShortLinks
from drivers.protocol import Driver, NewLayer
from drivers.trash import TrashDirectory
from tests.support.driverlayers import BASE, CHILD, TOP, open_for
from tests.support.gotools import Roots

COPY = LayerID("e" * 64)

pytestmark = pytest.mark.root


@pytest.fixture(params=[None, BASE], ids=["of a base", "of a child"])
def parent(request: pytest.FixtureRequest) -> LayerID | None:
    parent: LayerID | None = request.param
    return parent


@pytest.fixture
def driver(roots: Roots, parent: LayerID | None) -> Driver:
    """A layer on *parent*, and a copy of it for other owners, as the Go tools make one too."""
    driver = open_for(roots, "overlay")
    if parent is not None:
        driver.create(NewLayer(id=parent, writable=False))
    driver.create(NewLayer(id=CHILD, parent=parent, writable=False))
    driver.create_from_template(NewLayer(id=COPY, parent=parent, writable=False), CHILD)
    driver.create(NewLayer(id=TOP, parent=COPY, writable=True))
    return driver


def lower_of(roots: Roots, layer: LayerID) -> Path:
    return roots.graph / "overlay" / layer / "lower"


def test_a_copy_that_lies_on_its_template_is_sound(driver: Driver, parent: LayerID | None) -> None:
    assert list(driver.inspect(COPY, parent)) == []
    assert list(driver.inspect(TOP, COPY)) == []


def test_mending_a_copy_leaves_it_on_its_template(
    driver: Driver, roots: Roots, parent: LayerID | None
) -> None:
    before = lower_of(roots, COPY).read_text()
    link = roots.graph / "overlay/l" / (roots.graph / "overlay" / COPY / "link").read_text()
    link.unlink()
    assert [damage.mendable for damage in driver.inspect(COPY, parent)] == [True]
    driver.mend(COPY, parent)
    assert os.readlink(link) == f"../{COPY}/diff"
    assert lower_of(roots, COPY).read_text() == before
    assert list(driver.inspect(COPY, parent)) == []


def test_a_layer_on_something_else_is_damaged(
    driver: Driver, roots: Roots, parent: LayerID | None
) -> None:
    own = lower_of(roots, TOP).read_text()
    lower_of(roots, CHILD).write_text(own)
    (damage, *_) = driver.inspect(CHILD, parent)
    assert damage.path == str(lower_of(roots, CHILD))
    if parent is None:
        assert not damage.mendable
        return
    driver.mend(CHILD, parent)
    assert lower_of(roots, CHILD).read_text() != own


def test_a_link_in_the_place_of_a_small_file_is_damage_and_is_not_followed(
    driver: Driver, roots: Roots, tmp_path: Path
) -> None:
    path = roots.graph / "overlay" / TOP / "link"
    path.rename(tmp_path / "moved")
    path.symlink_to(tmp_path / "moved")
    assert [damage.path for damage in driver.inspect(TOP, COPY)] == [str(path)]
    driver.mend(TOP, COPY)
    assert list(driver.inspect(TOP, COPY)) == []
    assert not path.is_symlink()


def test_a_layer_whose_link_file_is_damaged_takes_its_short_name_with_it(
    driver: Driver, roots: Roots
) -> None:
    before = os.listdir(roots.graph / "overlay/l")
    (roots.graph / "overlay" / TOP / "link").write_bytes(b"\0" * 26)
    trash = TrashDirectory(driver.new_trash_root(TOP))
    driver.remove(TOP, trash)
    trash.erase()
    left = [
        os.readlink(roots.graph / "overlay/l" / name)
        for name in before
        if os.path.lexists(roots.graph / "overlay/l" / name)
    ]
    assert len(left) == len(before) - 1
    assert f"../{TOP}/diff" not in left


def test_short_names_that_cannot_be_listed_are_not_taken_for_none(
    driver: Driver, roots: Roots, monkeypatch: pytest.MonkeyPatch
) -> None:
    links = str(roots.graph / "overlay" / "l")

    def failing(do: Callable[..., Any]) -> Callable[..., Any]:
        def ask(path: object, **how: Any) -> Any:
            if path == links:
                raise OSError(errno.EIO, os.strerror(errno.EIO), path)
            return do(path, **how)

        return ask

    assert isinstance(driver, ShortLinks)
    assert len(driver.links()) > 2
    with monkeypatch.context() as patched:
        for name in ("stat", "listdir"):
            patched.setattr(os, name, failing(getattr(os, name)))
        with pytest.raises(OSError, match="Input/output"):
            driver.links()
