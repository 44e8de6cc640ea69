"""What an overlay layer does to the layers below, read from its own content alone.

Used by: drivers.overlay.driver. Knows nothing of: how layers are found, mounts. For an archive
the merged view is asked where content is still in a layer below (metacopy, redirect).

The rules are those of the Go tools (store-format 9.7), so the listing is the same: a whiteout is
a removal; an opaque directory that a lower layer has is a removal, with what it holds now listed
below; a directory that is only there because something in it changed is not listed, unless
something was added or removed in it. Nothing in a layer is followed, and no lower path is walked
through anything but directories. Where nothing is below, nothing is asked but the listings.
"""

import os
import stat
from collections.abc import Generator, Sequence
from typing import NamedTuple

from drivers.changelist import with_parents
from drivers.linux import xattr
from drivers.linux.treewalk import GONE, Found, Listing, listings, walk
from drivers.naive import TreeDifference
from drivers.protocol import Change, ChangeKind
from drivers.status import entry_letter, kind_letter, same_modification_time


class FullComparisonNeededError(Exception):
    """A directory was renamed by reference (redirect): only the merged views tell the change."""


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
        root = self._open()
        try:
            return changes_of(root, self.lowers, prefix=self.prefix)
        except FullComparisonNeededError:
            return self.full.changes()
        finally:
            os.close(root)

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
            return self._size_of(root)
        except FullComparisonNeededError:
            return self.full.size()
        finally:
            os.close(root)

    def _size_of(self, root: int) -> int:
        sizes = {}
        for found in walk(root):
            if not stat.S_ISDIR(found.status.st_mode):
                sizes[found.status.st_ino] = found.status.st_size
            elif self.lowers and self._is_redirected(found):
                raise FullComparisonNeededError
        return sum(sizes.values())

    def _is_redirected(self, found: Found) -> bool:
        try:
            return self.prefix + b"redirect" in xattr.names_at(found.parent, found.name)
        except GONE:
            return False

    def _open(self) -> int:
        return os.open(self.diff, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)

    def _open_merged(self) -> int:
        return self.full.open_tree(self.full.layer)


def changes_of(root: int, lowers: Sequence[str], *, prefix: bytes) -> list[Change]:
    """Return what the content *root*, a descriptor, does to the contents *lowers*, by path.

    *prefix* is that of overlay's extended attributes.
    """
    comparison = _Comparison(tuple(map(os.fsencode, lowers)), prefix)
    for directory in listings(root):
        comparison.directory(directory)
    return comparison.sorted_changes()


class _Comparison:
    def __init__(self, lowers: tuple[bytes, ...], prefix: bytes) -> None:
        self._opaque = (prefix + b"opaque").decode()
        self._redirect = (prefix + b"redirect").decode()
        self._is_lowest = not lowers
        self._lowers = {b"/": lowers}
        self._found: list[Change] = []

    def directory(self, directory: Listing) -> None:
        prefix = b"/" + directory.prefix
        parents = self._lowers.pop(prefix, ())
        for entry in directory.entries:
            path = prefix + os.fsencode(entry.name)
            try:
                change = self._change(path, directory.fd, entry, parents)
            except GONE:
                continue
            if change is not None:
                self._found.append(change)

    def _change(
        self, path: bytes, parent: int, entry: os.DirEntry[str], parents: Sequence[bytes]
    ) -> Change | None:
        before, lowers = self._below(parents, os.path.basename(path)) if parents else (None, ())
        letter = entry_letter(entry)
        if letter == "c" and _is_whiteout(entry.stat(follow_symlinks=False)):
            return Change(path, ChangeKind.DELETE, kind_letter(before) if before else "-")
        if letter == "d" and not self._is_lowest:
            self._lowers[path + b"/"] = lowers
            opaque = self._is_opaque(os.fsencode(f"/proc/self/fd/{parent}/{entry.name}"))
            if before is not None:
                now = entry.stat(follow_symlinks=False)
                return _merged_directory(path, now, before, opaque=opaque)
        kind = ChangeKind.ADD if before is None else ChangeKind.MODIFY
        return Change(path, kind, letter)

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
        own = [change for change in self._found if change.kind is not ChangeKind.MODIFY]
        return with_parents(self._found, own)


def _is_whiteout(status: os.stat_result) -> bool:
    return stat.S_ISCHR(status.st_mode) and status.st_rdev == 0


def _merged_directory(
    path: bytes, now: os.stat_result, before: os.stat_result, *, opaque: bool
) -> Change | None:
    if opaque:
        return Change(path, ChangeKind.DELETE, kind_letter(before))
    return Change(path, ChangeKind.MODIFY, "d") if _differs(now, before) else None


def _differs(now: os.stat_result, before: os.stat_result) -> bool:
    if not stat.S_ISDIR(before.st_mode):
        return True
    same = now.st_mode == before.st_mode and now.st_size == before.st_size
    return not (same and same_modification_time(now, before))
