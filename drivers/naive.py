"""What changed between two trees, by looking at both in full: as a list, an archive, a size.

Used by: drivers without changes of their own, and overlay where its own do not tell.
Knows nothing of: whiteouts, where the trees come from.

As in the Go tools (store-format 9.7), content is not compared: any write changes a time or a
size. A directory is listed when it differs itself, or something in it does. What vanishes
meanwhile was never there.
"""

import os
import stat
from collections.abc import Callable, Generator, Sequence
from contextlib import suppress
from functools import partial
from operator import attrgetter
from typing import Final, NamedTuple

from drivers.changelist import with_parents
from drivers.idmap.maps import NO_MAPS, MapPair, to_container
from drivers.ids import LayerID
from drivers.linux import xattr
from drivers.linux.beneath import open_inside
from drivers.linux.treewalk import CHANGED, attempt, listings
from drivers.protocol import Change, ChangeKind
from drivers.status import entry_letter, kind_letter, same_modification_time

_DIRECTORY: Final = os.O_RDONLY | os.O_DIRECTORY
_CAPABILITY: Final = b"security.capability"


def compare(
    old: int | None, new: int, *, maps: MapPair = NO_MAPS, old_maps: MapPair = NO_MAPS
) -> list[Change]:
    """Return what makes the tree *old* (None: an empty one) the tree *new*, sorted by path.

    Both are descriptors of directories. Links are compared, not followed; mounts not entered.
    Owners are the same if they are to a container: the maps are those of the two trees.
    """
    if old is None:
        return _everything(new)
    comparison = _Comparison(old, new, _Owners(old_maps, maps))
    waiting = [b""]
    while waiting:
        waiting += comparison.directory(waiting.pop())
    return comparison.sorted_changes()


def _everything(root: int) -> list[Change]:
    """What makes an empty tree the tree *root*."""
    found = []
    for directory in listings(root):
        prefix = b"/" + directory.prefix
        for entry in directory.entries:
            with suppress(FileNotFoundError):
                path = prefix + os.fsencode(entry.name)
                found.append(Change(path, ChangeKind.ADD, entry_letter(entry)))
    return sorted(found, key=attrgetter("path"))


class TreeDifference(NamedTuple):
    """What makes the tree of *parent* (None: an empty one) that of *layer*.

    ``open_tree`` returns a new descriptor of a layer's tree. The maps are those by which the
    owners on disk became what they are.
    """

    open_tree: Callable[[LayerID], int]
    layer: LayerID
    parent: LayerID | None
    maps: MapPair = NO_MAPS
    parent_maps: MapPair = NO_MAPS

    def changes(self) -> list[Change]:
        """Return it as a list, sorted by path."""
        new = self.open_tree(self.layer)
        try:
            return self._changes_to(new)
        finally:
            os.close(new)

    def archive(self) -> Generator[bytes, None, None]:
        """Yield it as a tar archive."""
        from drivers.archive.pack import pack_changes, pack_tree

        new = self.open_tree(self.layer)
        try:
            if self.parent is None:
                yield from pack_tree(new, maps=self.maps)
            else:
                yield from pack_changes(new, self._changes_to(new), maps=self.maps)
        finally:
            os.close(new)

    def size(self) -> int:
        """Return how many bytes the files have that were added or changed, each inode once."""
        new = self.open_tree(self.layer)
        try:
            return _size_of(new, self._changes_to(new))
        finally:
            os.close(new)

    def _changes_to(self, new: int) -> list[Change]:
        old = None if self.parent is None else self.open_tree(self.parent)
        try:
            return compare(old, new, maps=self.maps, old_maps=self.parent_maps)
        finally:
            if old is not None:
                os.close(old)


def _size_of(root: int, changes: Sequence[Change]) -> int:
    sizes = {}
    for change in changes:
        if change.kind is not ChangeKind.DELETE and change.type != "d":
            fd = attempt(partial(open_inside, root, change.path[1:], os.O_PATH | os.O_NOFOLLOW))
            if fd is None:
                continue
            status = os.fstat(fd)
            os.close(fd)
            sizes[status.st_dev, status.st_ino] = status.st_size
    return sum(sizes.values())


class _Entry(NamedTuple):
    """One name in an open directory."""

    parent: int
    name: bytes
    status: os.stat_result


class _Owners:
    """Whether files of two trees belong to the same, as the containers of these trees see it."""

    def __init__(self, old: MapPair, new: MapPair) -> None:
        self._old, self._new = old, new

    def same(self, before: os.stat_result, now: os.stat_result) -> bool:
        owner, earlier = (now.st_uid, now.st_gid), (before.st_uid, before.st_gid)
        inside = _inside(owner, self._new)
        if inside is None:
            return owner == earlier
        return inside == (_inside(earlier, self._old) or earlier)


def _inside(owner: tuple[int, int], maps: MapPair) -> tuple[int, int] | None:
    users, groups = maps
    uid, gid = to_container(owner[0], users), to_container(owner[1], groups)
    return None if uid is None or gid is None else (uid, gid)


class _Comparison:
    def __init__(self, old: int, new: int, owners: _Owners) -> None:
        self._old, self._new, self._owners = old, new, owners
        self._found: list[Change] = []
        self._only_new: set[bytes] = set()

    def directory(self, path: bytes) -> list[bytes]:
        """Compare the entries of one directory; return the directories to look into next."""
        new = attempt(partial(open_inside, self._new, path, _DIRECTORY))
        if new is None:
            return []
        try:
            old = self._open_old(path)
            try:
                return self._entries(path, old, new)
            finally:
                if old is not None:
                    os.close(old)
        finally:
            os.close(new)

    def _open_old(self, path: bytes) -> int | None:
        if path in self._only_new:
            return None
        return open_inside(self._old, path, _DIRECTORY)

    def _entries(self, path: bytes, old: int | None, new: int) -> list[bytes]:
        before = {} if old is None else _entries_of(old)
        below = []
        for name, entry in _entries_of(new).items():
            inner = path + b"/" + name if path else name
            earlier = before.pop(name, None)
            if earlier is None:
                self._list(inner, ChangeKind.ADD, entry)
            elif os.path.samestat(earlier.status, entry.status):
                continue
            elif not self._owners.same(earlier.status, entry.status) or _differs(earlier, entry):
                self._list(inner, ChangeKind.MODIFY, entry)
            if stat.S_ISDIR(entry.status.st_mode):
                below.append(inner)
                if earlier is None or not stat.S_ISDIR(earlier.status.st_mode):
                    self._only_new.add(inner)
        for name, entry in before.items():
            self._list(path + b"/" + name if path else name, ChangeKind.DELETE, entry)
        return below

    def _list(self, path: bytes, kind: ChangeKind, entry: _Entry) -> None:
        self._found.append(Change(b"/" + path, kind, kind_letter(entry.status)))

    def sorted_changes(self) -> list[Change]:
        return with_parents(self._found, self._found)


def _entries_of(directory: int) -> dict[bytes, _Entry]:
    found = {}
    for name in map(os.fsencode, os.listdir(directory)):
        with suppress(FileNotFoundError):
            status = os.stat(name, dir_fd=directory, follow_symlinks=False)
            found[name] = _Entry(directory, name, status)
    return found


def _differs(old: _Entry, new: _Entry) -> bool:
    """Whether they are not the same; what changes at this moment is not."""
    try:
        return _is_other(old, new)
    except OSError as failure:
        if failure.errno not in CHANGED:
            raise
        return True


def _is_other(old: _Entry, new: _Entry) -> bool:
    before, now = old.status, new.status
    if (before.st_mode, before.st_rdev) != (now.st_mode, now.st_rdev):
        return True
    if not stat.S_ISDIR(now.st_mode) and (
        before.st_size != now.st_size or not same_modification_time(before, now)
    ):
        return True
    if stat.S_ISLNK(now.st_mode):
        return _target(old) != _target(new)
    return _attributes(old) != _attributes(new)


def _target(entry: _Entry) -> bytes:
    return os.readlink(entry.name, dir_fd=entry.parent)


def _attributes(entry: _Entry) -> dict[bytes, bytes]:
    """Return the attributes that travel in a layer."""
    return {
        name: xattr.get_at(entry.parent, entry.name, name)
        for name in xattr.names_at(entry.parent, entry.name)
        if name == _CAPABILITY or name.startswith(b"user.")
    }
