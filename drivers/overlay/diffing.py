"""What an overlay layer does to the layers below, read from its own content alone.

Used by: drivers.overlay.driver. Knows nothing of: how layers are found, mounts. For an archive
the merged view is asked where content is still in a layer below (metacopy, redirect).

The rules are those of the Go tools (store-format 9.7), so the listing is the same: a whiteout is
a removal; an opaque directory that a lower layer has is a removal, with what it holds now listed
below; a directory that is only there because something in it changed is not listed, unless
something was added or removed in it. Nothing in a layer is followed, and no lower path is walked
through anything but directories.
"""

import os
import stat
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from drivers.linux.treewalk import GONE, walk
from drivers.naive import TreeDifference
from drivers.protocol import Change, ChangeKind
from drivers.status import kind_letter, same_modification_time


class FullComparisonNeededError(Exception):
    """A directory was renamed by reference (redirect): only the merged views tell the change."""


@dataclass(frozen=True, slots=True)
class _Directory:
    """A directory of the layer and those it is merged with below, uppermost first."""

    path: bytes
    upper: bytes
    lowers: tuple[bytes, ...]


class OwnDifference(NamedTuple):
    """What a layer's own content *diff* does to *lowers*, the contents below, uppermost first.

    ``prefix`` is that of overlay's attributes; ``full`` compares the merged views.
    """

    diff: str
    lowers: Sequence[str]
    prefix: bytes
    full: TreeDifference

    def changes(self) -> list[Change]:
        """Return it as a list, sorted by path."""
        try:
            return changes_of(self.diff, self.lowers, prefix=self.prefix)
        except FullComparisonNeededError:
            return self.full.changes()

    def archive(self) -> Generator[bytes, None, None]:
        """Yield it as a tar archive."""
        from drivers.archive.pack import pack_tree
        from drivers.archive.packoverlay import OverlayMarks

        root = self._open()
        try:
            marks = OverlayMarks(self.prefix, self.lowers, self._open_merged)
            yield from pack_tree(root, maps=self.full.maps, marks=marks)
        finally:
            os.close(root)

    def size(self) -> int:
        """Return how many bytes the layer's own files have, each inode once."""
        root = self._open()
        try:
            files = (file.status for file in walk(root) if not stat.S_ISDIR(file.status.st_mode))
            return sum({status.st_ino: status.st_size for status in files}.values())
        finally:
            os.close(root)

    def _open(self) -> int:
        return os.open(self.diff, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)

    def _open_merged(self) -> int:
        return self.full.open_tree(self.full.layer)


def changes_of(diff: str, lowers: Sequence[str], *, prefix: bytes) -> list[Change]:
    """Return what the content *diff* does to the contents *lowers*, sorted by path.

    *prefix* is that of overlay's extended attributes.
    """
    found = _Walk(prefix)
    waiting = [_Directory(b"", os.fsencode(diff), tuple(map(os.fsencode, lowers)))]
    while waiting:
        waiting += found.directory(waiting.pop())
    return found.sorted_changes()


class _Walk:
    def __init__(self, prefix: bytes) -> None:
        self._opaque = (prefix + b"opaque").decode()
        self._redirect = (prefix + b"redirect").decode()
        self._found: dict[bytes, Change] = {}

    def directory(self, directory: _Directory) -> list[_Directory]:
        below = []
        try:
            names = os.listdir(directory.upper)
        except GONE:
            return []
        for name in names:
            inner = self._entry(directory, name)
            if inner is not None:
                below.append(inner)
        return below

    def _entry(self, directory: _Directory, name: bytes) -> _Directory | None:
        path, upper = directory.path + b"/" + name, directory.upper + b"/" + name
        try:
            now = os.lstat(upper)
        except GONE:
            return None
        before, lowers = self._below(directory.lowers, name)
        if _is_whiteout(now):
            kind = ChangeKind.DELETE
            self._found[path] = Change(path, kind, kind_letter(before) if before else "-")
            return None
        if not stat.S_ISDIR(now.st_mode):
            kind = ChangeKind.ADD if before is None else ChangeKind.MODIFY
            self._found[path] = Change(path, kind, kind_letter(now))
            return None
        opaque = self._is_opaque(upper)
        if before is not None and opaque:
            self._found[path] = Change(path, ChangeKind.DELETE, kind_letter(before))
        elif before is None:
            self._found[path] = Change(path, ChangeKind.ADD, "d")
        elif _differs(now, before):
            self._found[path] = Change(path, ChangeKind.MODIFY, "d")
        return _Directory(path, upper, lowers)

    def _below(
        self, parents: Sequence[bytes], name: bytes
    ) -> tuple[os.stat_result | None, tuple[bytes, ...]]:
        """Return what was visible under *name*, and the directories that made it up."""
        visible: os.stat_result | None = None
        directories: list[bytes] = []
        for parent in parents:
            path = parent + b"/" + name
            try:
                status = os.lstat(path)
            except FileNotFoundError:
                continue
            if _is_whiteout(status) or (directories and not stat.S_ISDIR(status.st_mode)):
                break
            visible = visible or status
            if not stat.S_ISDIR(status.st_mode):
                break
            directories.append(path)
            if self._is_opaque(path):
                break
        return visible, tuple(directories)

    def _is_opaque(self, path: bytes) -> bool:
        try:
            names = os.listxattr(path, follow_symlinks=False)
        except GONE:
            return False
        if self._redirect in names:
            raise FullComparisonNeededError
        if self._opaque not in names:
            return False
        return os.getxattr(path, self._opaque, follow_symlinks=False) == b"y"

    def sorted_changes(self) -> list[Change]:
        for change in list(self._found.values()):
            if change.kind is not ChangeKind.MODIFY:
                self._list_parents(change.path)
        return sorted(self._found.values(), key=lambda change: change.path)

    def _list_parents(self, path: bytes) -> None:
        while path := path.rpartition(b"/")[0]:
            self._found.setdefault(path, Change(path, ChangeKind.MODIFY, "d"))


def _is_whiteout(status: os.stat_result) -> bool:
    return stat.S_ISCHR(status.st_mode) and status.st_rdev == 0


def _differs(now: os.stat_result, before: os.stat_result) -> bool:
    if not stat.S_ISDIR(before.st_mode):
        return True
    same = now.st_mode == before.st_mode and now.st_size == before.st_size
    return not (same and same_modification_time(now, before))
