"""What an overlay layer's own content says it changes, by the marks that the kernel leaves."""

import os
import stat
from pathlib import Path

import pytest

from drivers.overlay.diffing import FullComparisonNeededError, changes_of

PREFIX = b"user.overlay."


def changes(upper: Path, *lowers: Path) -> list[tuple[bytes, str, str]]:
    root = os.open(upper, os.O_RDONLY | os.O_DIRECTORY)
    try:
        found = changes_of(root, [str(lower) for lower in lowers], prefix=PREFIX)
    finally:
        os.close(root)
    return [(change.path, change.kind.name, change.type) for change in found]


@pytest.fixture
def lower(tmp_path: Path) -> Path:
    (tmp_path / "lower" / "dir" / "sub").mkdir(parents=True)
    (tmp_path / "lower" / "dir" / "file").write_text("x")
    (tmp_path / "lower" / "plain").write_text("x")
    return tmp_path / "lower"


@pytest.fixture
def upper(tmp_path: Path, lower: Path) -> Path:
    """A layer that has the directory dir because something below it is going to change."""
    (tmp_path / "upper" / "dir").mkdir(parents=True)
    os.utime(tmp_path / "upper" / "dir", ns=(0, os.stat(lower / "dir").st_mtime_ns))
    return tmp_path / "upper"


def keep_time(upper: Path, lower: Path) -> None:
    os.utime(upper / "dir", ns=(0, os.stat(lower / "dir").st_mtime_ns))


def test_everything_in_the_lowest_layer_is_added_by_its_kind(tmp_path: Path) -> None:
    (tmp_path / "dir" / "sub").mkdir(parents=True)
    (tmp_path / "dir" / "file").touch()
    (tmp_path / "dir" / "link").symlink_to("nowhere")
    os.mkfifo(tmp_path / "dir" / "pipe")
    assert changes(tmp_path) == [
        (b"/dir", "ADD", "d"),
        (b"/dir/file", "ADD", "f"),
        (b"/dir/link", "ADD", "l"),
        (b"/dir/pipe", "ADD", "p"),
        (b"/dir/sub", "ADD", "d"),
    ]


def test_a_directory_is_listed_for_what_it_gains_but_not_for_what_is_modified(
    upper: Path, lower: Path
) -> None:
    (upper / "dir" / "file").write_text("y")
    keep_time(upper, lower)
    assert changes(upper, lower) == [(b"/dir/file", "MODIFY", "f")]
    (upper / "dir" / "sub").mkdir()
    (upper / "dir" / "sub" / "new").touch()
    times = os.stat(lower / "dir" / "sub").st_mtime_ns
    os.utime(upper / "dir" / "sub", ns=(0, times))
    keep_time(upper, lower)
    assert changes(upper, lower) == [
        (b"/dir", "MODIFY", "d"),
        (b"/dir/file", "MODIFY", "f"),
        (b"/dir/sub", "MODIFY", "d"),
        (b"/dir/sub/new", "ADD", "f"),
    ]


def test_what_is_in_a_directory_that_replaces_a_file_is_added(upper: Path, lower: Path) -> None:
    (upper / "dir" / "file").mkdir()
    (upper / "dir" / "file" / "new").touch()
    keep_time(upper, lower)
    assert changes(upper, lower) == [
        (b"/dir", "MODIFY", "d"),
        (b"/dir/file", "MODIFY", "d"),
        (b"/dir/file/new", "ADD", "f"),
    ]


@pytest.mark.root
def test_a_whiteout_says_what_was_removed(upper: Path, lower: Path) -> None:
    for name in ("dir/file", "dir/never"):
        os.mknod(upper / name, stat.S_IFCHR, 0)
    os.mknod(upper / "null", stat.S_IFCHR, os.makedev(1, 3))
    keep_time(upper, lower)
    assert changes(upper, lower) == [
        (b"/dir", "MODIFY", "d"),
        (b"/dir/file", "DELETE", "f"),
        (b"/dir/never", "DELETE", "-"),
        (b"/null", "ADD", "c"),
    ]
    assert (b"/dir/never", "DELETE", "-") in changes(upper)


def test_a_new_directory_with_the_content_of_another_needs_the_merged_views(
    upper: Path, lower: Path
) -> None:
    (upper / "renamed" / "deeper").mkdir(parents=True)
    os.setxattr(upper / "renamed" / "deeper", PREFIX + b"redirect", b"/dir")
    with pytest.raises(FullComparisonNeededError):
        changes(upper, lower)
