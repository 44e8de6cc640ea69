"""Small files that are read before they are asked for: which, when, and for how long."""

import os
from pathlib import Path

import pytest

from fusefs.nodes.base import Caller, File, ListedEntry, OpenFile
from fusefs.nodes.passthrough import RootDirectory
from fusefs.nodes.passthrough_view import Listings, View
from fusefs.nodes.readahead import Reader, Readers

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
    """Read one file from its start to its end; return what had been fetched of it."""
    file = opened(entry)
    fetched = file.fetched(0, 1 << 17)
    if fetched is None:
        file.read(0, 1 << 17)
    file.release()
    return fetched


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for number in range(FILES):
        (tmp_path / f"{number:03}").write_bytes(b"%d" % number)
    return tmp_path


def content(entry: ListedEntry) -> bytes:
    return b"%d" % int(entry.name)


def test_who_reads_in_order_waits_for_few_files(tree: Path) -> None:
    entries = listed(show(tree))
    for _ in range(2):
        found = [read(entry) for entry in entries]
        assert 0 < found.count(None) < 10
        assert all(
            data in {None, content(entry)} for data, entry in zip(found, entries, strict=True)
        )


def test_who_reads_one_file_in_the_middle_has_no_other_read(tree: Path) -> None:
    entries = listed(show(tree))
    assert read(entries[50]) is None
    assert read(entries[51]) is None


@pytest.mark.parametrize("order", [slice(None, None, -1), slice(None, None, 20)])
def test_who_reads_in_another_order_has_nothing_fetched(tree: Path, order: slice) -> None:
    assert {read(entry) for entry in listed(show(tree))[20:][order]} == {None}


def test_what_was_passed_by_is_given_up_when_more_is_fetched(tree: Path) -> None:
    entries = listed(show(tree))
    read(entries[0])
    assert opened(entries[1]).fetched(0, 1) == content(entries[1])[:1]
    read(entries[10])
    assert opened(entries[1]).fetched(0, 1) is None
    assert opened(entries[11]).fetched(0, 1) is not None


def test_a_file_is_given_up_once_its_end_was_read(tree: Path) -> None:
    entries = listed(show(tree))
    read(entries[0])
    file, data = opened(entries[1]), content(entries[1])
    assert file.fetched(0, len(data) - 1) == data[:-1]
    assert file.fetched(len(data) - 1, 10) == data[-1:]
    assert file.fetched(0, 1) is None


def test_only_small_files_with_content_are_fetched(tmp_path: Path) -> None:
    sizes = {"first": 1, "empty": 0, "small": 1, "whole": 1 << 17, "large": (1 << 17) + 1}
    for name, size in sizes.items():
        (tmp_path / name).write_bytes(b"x" * size)
    (tmp_path / "link").symlink_to("small")
    (tmp_path / "directory").mkdir()
    os.mkfifo(tmp_path / "pipe")
    root = show(tmp_path)
    files = {os.fsdecode(entry.name): entry for entry in listed(root)}
    first = files.pop("first")
    found = set()
    for name, entry in files.items():
        reader = Reader([first, entry])
        reader.fetch_after(first.node)
        if reader.take(entry.node, 0, 1) is not None:
            found.add(name)
    assert found == {"small", "whole"}


def test_a_mebibyte_is_fetched_at_once_at_most(tmp_path: Path) -> None:
    for number in range(64):
        (tmp_path / str(number)).write_bytes(b"x" * (1 << 17))
    found = [read(entry) for entry in listed(show(tmp_path))]
    assert found.count(None) >= 64 // 9


def test_a_file_that_cannot_be_fetched_is_left_to_who_asks_for_it(tree: Path) -> None:
    entries = listed(show(tree))
    (tree / os.fsdecode(entries[1].name)).unlink()
    (tree / os.fsdecode(entries[2].name)).write_bytes(b"")
    read(entries[0])
    assert [opened(entry).fetched(0, 10) for entry in entries[1:4]] == [
        None,
        None,
        content(entries[3]),
    ]


def test_what_can_change_is_read_when_it_is_asked_for(tree: Path) -> None:
    assert {read(entry) for entry in listed(show(tree, immutable=False))} == {None}


def test_a_view_that_closes_gives_up_what_it_fetched(tree: Path) -> None:
    root = show(tree)
    entries = listed(root)
    read(entries[0])
    file = opened(entries[1])
    assert file.fetched(0, 1) is not None
    root.view.close()
    assert file.fetched(0, 1) is None
