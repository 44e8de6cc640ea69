"""Archives of layers without an archive of their own: ours are those of ``containers-storage``."""

import os
import subprocess
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest

from drivers.erase import erase_tree
from drivers.idmap.maps import IDMap
from drivers.ids import LayerID
from drivers.protocol import Driver
from tests.support import debian, packcontent
from tests.support.driverlayers import EDITS, edit_layer, fill, open_for
from tests.support.gotools import GoTools, Roots
from tests.support.tarlisting import assert_same, listed, names, undated

pytestmark = [pytest.mark.root, pytest.mark.overlay, pytest.mark.gotools]

Edit = Callable[[Path], object]


def _remove_much(root: Path) -> None:
    for name in ("file", "other", "hard", "link", "fifo", "null", "name with blank", "ünïcode"):
        (root / name).unlink()


def _replace_everything(root: Path) -> None:
    for directory in ("dir", "empty", "replaced"):
        erase_tree(os.fspath(root / directory))
        (root / directory).mkdir()
        (root / directory / "sub").mkdir()


REMOVALS: dict[str, Edit] = {
    "whiteouts that are links to one file": _remove_much,
    "new directories in the place of old ones": _replace_everything,
    "a directory in the place of a link": lambda root: (
        (root / "link").unlink(),
        (root / "link").mkdir(),
    ),
    "attributes that are overlay's": lambda root: os.setxattr(
        root / "dir", "trusted.overlay.other", b"y"
    ),
}


@pytest.fixture(params=["overlay", "vfs"])
def tools(request: pytest.FixtureRequest, roots: Roots) -> Iterator[GoTools]:
    tools = GoTools(roots, driver=request.param)
    yield tools
    tools.shutdown()


@pytest.fixture
def overlay(roots: Roots) -> Iterator[GoTools]:
    tools = GoTools(roots)
    yield tools
    tools.shutdown()


@pytest.fixture
def vfs(roots: Roots) -> GoTools:
    return GoTools(roots, driver="vfs")


def driver_of(tools: GoTools) -> Driver:
    return open_for(tools.roots, tools.driver)


def layer_by_go(tools: GoTools, edit: Edit, *words: str) -> LayerID:
    """A layer that the Go tool made, edited in a mount of ours (theirs takes longer)."""
    layer = LayerID(tools.storage("create-layer", *words).strip())
    edit_layer(driver_of(tools), layer, edit)
    return layer


def theirs(tools: GoTools, *layers: str) -> bytes:
    return tools.run("containers-storage", "diff", "-u", *layers).stdout


def ours(driver: Driver, layer: LayerID, parent: LayerID | None = None) -> bytes:
    return b"".join(driver.diff(layer, parent))


@pytest.mark.parametrize("content", packcontent.CONTENT.values(), ids=packcontent.CONTENT.keys())
def test_a_base_layer_is_the_same_archive(tools: GoTools, content: Edit) -> None:
    layer = layer_by_go(tools, content)
    their = theirs(tools, layer)
    assert len(their) > 1024
    assert_same(ours(driver_of(tools), layer), their)


@pytest.mark.parametrize("edit", (EDITS | REMOVALS).values(), ids=(EDITS | REMOVALS).keys())
def test_a_change_is_the_same_archive(overlay: GoTools, edit: Edit) -> None:
    base = layer_by_go(overlay, fill)
    layer = layer_by_go(overlay, edit, base)
    driver = driver_of(overlay)
    assert_same(ours(driver, layer, base), theirs(overlay, layer))
    assert driver.diff_size(layer, base) == int(overlay.storage("diffsize", layer))


def all_edits(root: Path, edits: Iterable[Edit]) -> None:
    """Make one edit after the other, as far as the earlier ones leave something to edit."""
    for edit in edits:
        with suppress(OSError):
            edit(root)


def test_full_copies_are_compared_to_the_same_archives(vfs: GoTools) -> None:
    """Each comparison takes the Go tool a second, for which it sleeps: so there are few."""
    base = layer_by_go(vfs, fill)
    driver = driver_of(vfs)
    for edits in (list(EDITS.values()), list(EDITS.values())[::-1]):
        layer = layer_by_go(vfs, partial(all_edits, edits=edits), base)
        assert_same(undated(ours(driver, layer, base)), undated(theirs(vfs, layer)))
        assert driver.diff_size(layer, base) == int(vfs.storage("diffsize", layer))


def test_layers_that_are_no_neighbours_are_compared_as_the_go_tool_does(overlay: GoTools) -> None:
    base = layer_by_go(overlay, fill)
    middle = layer_by_go(overlay, EDITS["replace a directory"], base)
    top = layer_by_go(overlay, EDITS["delete a file"], middle)
    other = layer_by_go(overlay, packcontent.order)
    driver = driver_of(overlay)
    for layer, below in ((top, base), (base, top), (top, other)):
        their = theirs(overlay, layer, below)
        assert_same(undated(ours(driver, layer, below)), undated(their))
        size = overlay.storage("diffsize", layer, below)
        assert driver.diff_size(layer, below) == int(size)


def test_what_two_layers_remove_is_removed_by_the_same_entries(overlay: GoTools) -> None:
    """A directory that is new in a layer hides nothing if the layer below removed it."""

    def populate(root: Path) -> None:
        for name in ("gone", "kept", "again/inner", "ümlaut", "linked"):
            (root / name).mkdir(parents=True)
            (root / name / "file").write_text("x")
        (root / "link").symlink_to("kept")

    def remove(root: Path) -> None:
        for name in ("gone", "again/inner", "again"):
            for file in (root / name).glob("file"):
                file.unlink()
            (root / name).rmdir()

    def make_anew(root: Path) -> None:
        for name in ("gone", "again/inner/more", "link/inside"):
            if name.startswith("link"):
                (root / "link").unlink()
            (root / name).mkdir(parents=True)
        (root / "kept" / "file").unlink()
        (root / "kept").rmdir()
        (root / "kept").mkdir(mode=0o1770)
        os.chown(root / "kept", 7, 8)
        (root / "ümlaut" / "file").unlink()

    base = layer_by_go(overlay, populate)
    middle = layer_by_go(overlay, remove, base)
    top = layer_by_go(overlay, make_anew, middle)
    driver = driver_of(overlay)
    assert_same(ours(driver, middle, base), theirs(overlay, middle))
    archive = ours(driver, top, middle)
    assert_same(archive, theirs(overlay, top))
    assert "kept/.wh..wh..opq" in names(archive)
    assert "gone/.wh..wh..opq" not in names(archive)
    assert "again/.wh..wh..opq" not in names(archive)


MAPS = ("--uidmap", "0:100000:65536", "--gidmap", "0:200000:65536")
INSIDE = ((IDMap(0, 100000, 65536),), (IDMap(0, 200000, 65536),))


def belong(root: Path) -> None:
    """Files of some of the owners of a mapped layer."""
    for uid in (0, 1, 1000, 65535):
        (root / f"{uid}").write_text("x")
        os.chown(root / f"{uid}", 100000 + uid, 200000 + uid)
    (root / "directory").mkdir()
    os.chown(root / "directory", 100007, 200008)


def test_a_mapped_layer_holds_the_owners_that_its_container_sees(vfs: GoTools) -> None:
    base = layer_by_go(vfs, belong, *MAPS)
    driver = driver_of(vfs)
    their = theirs(vfs, base)
    assert_same(b"".join(driver.diff(base, None, maps=INSIDE)), their)
    assert {member[3] for member in listed(their)} == {0, 1, 7, 1000, 65535}


def test_owners_are_compared_as_the_containers_see_them(vfs: GoTools) -> None:
    base = layer_by_go(vfs, packcontent.order)
    layer = layer_by_go(vfs, lambda root: (root / "new").touch(), *MAPS, base)
    os.chown(Path(vfs.storage("mount", layer).strip(), "new"), 100001, 200001)
    our = b"".join(driver_of(vfs).diff(layer, base, maps=INSIDE))
    assert_same(undated(our), undated(theirs(vfs, layer)))
    assert names(our) == ["new"]


def test_a_file_beyond_eight_gigabytes_has_the_same_header(overlay: GoTools) -> None:
    def reserve(root: Path) -> None:
        (root / "large").touch()
        os.truncate(root / "large", 1 << 33)

    layer = layer_by_go(overlay, reserve)
    stream = driver_of(overlay).diff(layer, None)
    head = next(stream)
    stream.close()
    command = overlay.command("containers-storage", "diff", "-u", layer)
    with subprocess.Popen(command, stdout=subprocess.PIPE) as tool:
        assert tool.stdout is not None
        their = tool.stdout.read(len(head))
        tool.kill()
    assert head == their
    assert b"size=8589934592\n" in head


@pytest.mark.debian_image
def test_the_layers_of_a_debian_image_are_the_same_archives(tmp_path: Path, roots: Roots) -> None:
    debian.link_store(debian.kept_store(), roots.graph)
    for frame in roots.graph.glob("overlay-layers/*.tar-split.gz"):
        frame.unlink()
    tools = GoTools(roots)
    driver = driver_of(tools)
    for record in tools.storage_json("layers", "--json"):
        layer, parent = record["id"], record.get("parent")
        with subprocess.Popen(
            tools.command("containers-storage", "diff", "-u", layer), stdout=subprocess.PIPE
        ) as tool:
            assert tool.stdout is not None
            for piece in driver.diff(layer, parent):
                assert tool.stdout.read(len(piece)) == piece
            assert tool.stdout.read() == b""
        assert driver.diff_size(layer, parent) == int(tools.storage("diffsize", layer))
    tools.shutdown()
