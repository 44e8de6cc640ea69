"""What views keep in memory: only of what cannot change, and only while they are open."""

import errno
import os
from pathlib import Path

import pytest

from fusefs.nodes.base import Caller, Directory, File, Link
from fusefs.nodes.passthrough import RootDirectory
from fusefs.nodes.passthrough_view import Listings, View
from tests.support.posixsubject import refuses

ME = Caller(uid=os.getuid(), gid=os.getgid(), pid=os.getpid())


def show(path: Path, *, immutable: bool = True, listings: Listings | None = None) -> RootDirectory:
    view = View(
        "one",
        lambda: os.open(path, os.O_PATH | os.O_DIRECTORY),
        immutable=immutable,
        listings=listings or Listings(),
    )
    return RootDirectory(view, 7)


def listed(directory: Directory, step: int = 100) -> list[bytes]:
    listing = directory.open(ME)
    for first in range(0, len(listing.names), step):
        assert listing.batch(first, step) is not None
    again = directory.listed()
    return [entry.name for entry in again] if again is not None else []


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    (tmp_path / "file").write_bytes(b"content")
    (tmp_path / "link").symlink_to("file")
    (tmp_path / "dir").mkdir()
    return tmp_path


@pytest.mark.parametrize("step", [1, 2, 100])
def test_a_listing_that_was_read_to_its_end_is_kept(tree: Path, step: int) -> None:
    root = show(tree)
    assert root.listed() is None
    assert sorted(listed(root, step)) == [b"dir", b"file", b"link"]


def test_a_listing_that_was_read_in_part_or_out_of_order_is_not_kept(tree: Path) -> None:
    root = show(tree)
    listing = root.open(ME)
    listing.batch(0, 2)
    assert root.listed() is None
    listing.batch(1, 2)
    assert root.listed() is None


def test_an_empty_directory_is_known_to_be_empty(tree: Path) -> None:
    below = show(tree).child(b"dir")
    assert isinstance(below, Directory)
    assert below.open(ME).batch(0, 100) == []
    assert below.listed() == []


def test_what_can_change_is_never_kept(tree: Path) -> None:
    root = show(tree, immutable=False)
    assert listed(root) == []
    file, link = root.child(b"file"), root.child(b"link")
    assert isinstance(file, File)
    assert isinstance(link, Link)
    size = file.attributes().size
    (tree / "file").write_bytes(b"longer content")
    assert file.attributes().size == size + 7
    assert not file.attributes_at_hand()
    assert not file.opens_at_once(os.O_RDONLY)
    assert link.target() == b"file"
    assert not link.target_at_hand()


def test_listed_files_answer_from_memory_until_the_view_closes(tree: Path) -> None:
    root = show(tree)
    listed(root)
    file, link = root.child(b"file"), root.child(b"link")
    assert isinstance(link, Link)
    assert file.attributes_at_hand()
    assert link.target_at_hand()
    root.view.close()
    assert root.listed() is None
    assert not file.attributes_at_hand()
    assert not link.target_at_hand()
    assert file.attributes().size == 7
    assert link.target() == b"file"


def test_the_listings_used_last_are_kept_up_to_a_number_of_entries(tree: Path) -> None:
    for name in ("a", "b", "c"):
        (tree / "dir" / name).mkdir()
        for number in range(3):
            (tree / "dir" / name / str(number)).touch()
    root = show(tree, listings=Listings(limit=8))
    above = root.child(b"dir")
    assert isinstance(above, Directory)
    a, b, c = (above.child(name) for name in (b"a", b"b", b"c"))
    assert isinstance(a, Directory)
    assert isinstance(b, Directory)
    assert isinstance(c, Directory)
    assert listed(a)
    assert listed(b)
    assert a.listed()
    assert listed(c)
    assert b.listed() is None
    assert a.listed()


def test_a_file_that_cannot_change_is_opened_when_it_is_read(tree: Path) -> None:
    root = show(tree)
    node = root.child(b"file")
    assert isinstance(node, File)
    before = len(os.listdir("/proc/self/fd"))
    assert node.opens_at_once(os.O_RDONLY)
    assert not node.opens_at_once(os.O_RDWR)
    file = node.open(os.O_RDONLY, ME)
    assert len(os.listdir("/proc/self/fd")) == before
    assert not root.view.close_if_idle(0.0)
    assert file.read(0, 100) == b"content"
    assert file.read(3, 100) == b"tent"
    assert len(os.listdir("/proc/self/fd")) == before + 1
    file.release()
    assert len(os.listdir("/proc/self/fd")) == before
    assert root.view.close_if_idle(0.0)


def test_reading_what_has_gone_after_all_is_stale(tree: Path) -> None:
    node = show(tree).child(b"file")
    assert isinstance(node, File)
    file = node.open(os.O_RDONLY, ME)
    (tree / "file").unlink()
    with refuses(errno.ESTALE):
        file.read(0, 100)
    file.release()
