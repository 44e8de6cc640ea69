"""Small facts about a file's status that every comparison of layers needs.

Used by: drivers.naive, drivers.overlay.diffing. Knows nothing of: file systems.
"""

import os
import stat
from typing import Final

_LETTERS: Final = {
    stat.S_IFREG: "f",
    stat.S_IFDIR: "d",
    stat.S_IFLNK: "l",
    stat.S_IFCHR: "c",
    stat.S_IFBLK: "b",
    stat.S_IFIFO: "p",
    stat.S_IFSOCK: "s",
}


def kind_letter(status: os.stat_result) -> str:
    """Return find(1)'s letter for the kind of a file."""
    return _LETTERS.get(stat.S_IFMT(status.st_mode), "-")


def entry_letter(entry: os.DirEntry[str]) -> str:
    """Return the same for an entry of a directory, as far as possible without asking for more."""
    if entry.is_file(follow_symlinks=False):
        return "f"
    if entry.is_dir(follow_symlinks=False):
        return "d"
    if entry.is_symlink():
        return "l"
    return kind_letter(entry.stat(follow_symlinks=False))


def same_modification_time(one: os.stat_result, other: os.stat_result) -> bool:
    """Whether two files were written at one time, if either may have lost its nanoseconds."""
    seconds, rest = divmod(one.st_mtime_ns, 10**9)
    other_seconds, other_rest = divmod(other.st_mtime_ns, 10**9)
    return seconds == other_seconds and (rest == other_rest or not rest or not other_rest)
