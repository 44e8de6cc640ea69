"""Small files that are read before they are asked for: which, when, and for how long."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from fusefs.nodes.base import Caller, File, ListedEntry, OpenFile
from fusefs.nodes.passthrough import RootDirectory
from fusefs.nodes.passthrough_view import Listings, View
from fusefs.nodes.readahead import Readers

ME = Caller(uid=os.getuid(), gid=os.getgid(), pid=os.getpid())
FILES = 100


def show(path: Path, *, immutable: bool = True) -> RootDirectory:
    view = View(
        "one",
        lambda: os.open(path, os.O_PATH | os.O_DIRECTORY),
        immutable=immutable,
        listings=Listings(),
        readers=Readers(),
    )
    return RootDirectory(view, 7)


def listed(root: RootDirectory) -> list[ListedEntry]:
    listing = root.open(ME)
    return list(listing.batch(0, len(listing.names)) or ())


def opened(entry: ListedEntry) -> OpenFile:
    assert isinstance(entry.node, File)
    return entry.node.open(os.O_RDONLY, ME)


def read(entry: ListedEntry) -> bytes | None:
    """Read one file to its end as the kernel does; return what was fetched of it."""
    file = opened(entry)
    fetch = file.follow()
    if fetch is not None:
        fetch()
    fetched = file.fetched(0, 1 << 17)
    file.release()
    return fetched


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for number in range(FILES):
        (tmp_path / f"{number:03}").write_bytes(b"%d" % number)
    return tmp_path


def content(entry: ListedEntry) -> bytes:
    return b"%d" % int(entry.name)


def test_who_reads_in_order_waits_for_the_first_file_only(tree: Path) -> None:
    entries = listed(show(tree))
    wanted = [None, *(content(entry) for entry in entries[1:])]
    assert [read(entry) for entry in entries] == wanted
    assert [read(entry) for entry in entries] == wanted, "and so who comes after"


def test_who_reads_one_file_in_the_middle_has_no_other_read(tree: Path) -> None:
    entries = listed(show(tree))
    assert opened(entries[50]).follow() is None
    assert read(entries[51]) is None


@pytest.mark.parametrize("order", [slice(None, None, -1), slice(None, None, 20)])
def test_who_reads_in_another_order_has_nothing_fetched(tree: Path, order: slice) -> None:
    assert {read(entry) for entry in listed(show(tree))[5:][order]} == {None}


def test_what_was_passed_by_is_not_kept(tree: Path) -> None:
    entries = listed(show(tree))
    read(entries[0])
    assert opened(entries[1]).fetched(0, 10) == content(entries[1])
    read(entries[2])
    read(entries[4])
    assert opened(entries[3]).fetched(0, 10) is None


def test_a_file_is_given_up_once_its_end_was_read(tree: Path) -> None:
    entries = listed(show(tree))
    read(entries[0])
    (tree / os.fsdecode(entries[1].name)).write_bytes(b"")
    file = opened(entries[1])
    first = content(entries[1])[:1]
    assert file.fetched(0, 1) == first
    assert file.fetched(len(content(entries[1])), 10) == b""
    assert file.fetched(0, 1) is None


def test_only_small_files_with_content_are_fetched(tmp_path: Path) -> None:
    sizes = {"empty": 0, "small": 1, "whole": 1 << 17, "large": (1 << 17) + 1}
    for name, size in sizes.items():
        (tmp_path / name).write_bytes(b"x" * size)
    (tmp_path / "link").symlink_to("small")
    (tmp_path / "directory").mkdir()
    os.mkfifo(tmp_path / "pipe")
    root = show(tmp_path)
    entries = listed(root)
    reader = root.view.readers.of(root)
    assert reader is not None
    reader._fetch(0, len(entries))
    found = {
        os.fsdecode(entry.name) for entry in entries if reader.take(entry.node, 0, 1) is not None
    }
    assert found == {"small", "whole"}


def test_files_that_are_large_together_are_not_all_fetched(tmp_path: Path) -> None:
    for number in range(40):
        (tmp_path / str(number)).write_bytes(b"x" * (1 << 17))
    entries = listed(show(tmp_path))
    found = [read(entry) for entry in entries]
    held = [data for data in found if data is not None]
    assert 0 < len(held) < 40


def test_what_can_change_is_read_when_it_is_asked_for(tree: Path) -> None:
    entries = listed(show(tree, immutable=False))
    assert [opened(entry).follow() for entry in entries] == [None] * FILES


def test_a_view_that_closes_gives_up_what_it_fetched(tree: Path) -> None:
    root = show(tree)
    entries = listed(root)
    fetch: Callable[[], None] | None = opened(entries[0]).follow()
    assert fetch is not None
    read(entries[1])
    root.view.close()
    fetch()
    assert not root.view.is_open
    assert opened(entries[2]).fetched(0, 10) is None
