"""What changed between two trees, by looking at both in full.

Used by: drivers without changes of their own, and overlay where its own do not tell.
Knows nothing of: layers, whiteouts, where the trees come from.

As in the Go tools (store-format 9.7), content is not compared: any write changes a time or a
size. A directory is listed when it differs itself, or something in it does.
"""

import os
import stat
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from drivers.ids import LayerID
from drivers.linux import xattr
from drivers.linux.beneath import open_inside
from drivers.protocol import Change, ChangeKind
from drivers.status import kind_letter, same_modification_time

_DIRECTORY: Final = os.O_RDONLY | os.O_DIRECTORY
_CAPABILITY: Final = b"security.capability"


def compare(old: int | None, new: int) -> list[Change]:
    """Return what makes the tree *old* (None: an empty one) the tree *new*, sorted by path.

    Both are descriptors of directories. Links are compared, not followed; mounts not entered.
    """
    comparison = _Comparison(old, new)
    waiting = [b""]
    while waiting:
        waiting += comparison.directory(waiting.pop())
    return comparison.sorted_changes()


def compare_layers(
    open_tree: Callable[[LayerID], int], layer: LayerID, parent: LayerID | None
) -> list[Change]:
    """Compare what *open_tree* gives for *layer* and for *parent* (None: an empty tree)."""
    new = open_tree(layer)
    try:
        old = None if parent is None else open_tree(parent)
        try:
            return compare(old, new)
        finally:
            if old is not None:
                os.close(old)
    finally:
        os.close(new)


@dataclass(frozen=True, slots=True)
class _Entry:
    """One name in an open directory."""

    parent: int
    name: bytes
    status: os.stat_result


class _Comparison:
    def __init__(self, old: int | None, new: int) -> None:
        self._old, self._new = old, new
        self._found: dict[bytes, Change] = {}
        self._only_new: set[bytes] = set()

    def directory(self, path: bytes) -> list[bytes]:
        """Compare the entries of one directory; return the directories to look into next."""
        new = open_inside(self._new, path, _DIRECTORY)
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
        if self._old is None or path in self._only_new:
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
            elif _differs(earlier, entry):
                self._list(inner, ChangeKind.MODIFY, entry)
            if stat.S_ISDIR(entry.status.st_mode):
                below.append(inner)
                if earlier is None or not stat.S_ISDIR(earlier.status.st_mode):
                    self._only_new.add(inner)
        for name, entry in before.items():
            self._list(path + b"/" + name if path else name, ChangeKind.DELETE, entry)
        return below

    def _list(self, path: bytes, kind: ChangeKind, entry: _Entry) -> None:
        self._found[path] = Change(b"/" + path, kind, kind_letter(entry.status))

    def sorted_changes(self) -> list[Change]:
        for path in list(self._found):
            self._list_parents(path)
        return sorted(self._found.values(), key=lambda change: change.path)

    def _list_parents(self, path: bytes) -> None:
        while path := path.rpartition(b"/")[0]:
            self._found.setdefault(path, Change(b"/" + path, ChangeKind.MODIFY, "d"))


def _entries_of(directory: int) -> dict[bytes, _Entry]:
    names = [os.fsencode(name) for name in os.listdir(directory)]
    return {
        name: _Entry(directory, name, os.stat(name, dir_fd=directory, follow_symlinks=False))
        for name in names
    }


def _differs(old: _Entry, new: _Entry) -> bool:
    before, now = old.status, new.status
    if (before.st_mode, before.st_uid, before.st_gid, before.st_rdev) != (
        now.st_mode,
        now.st_uid,
        now.st_gid,
        now.st_rdev,
    ):
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
