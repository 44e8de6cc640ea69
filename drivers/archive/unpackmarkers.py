"""What becomes of whiteouts and opaque markers while an archive is unpacked.

Used by: drivers.archive.unpack. Knows nothing of: entries that are files.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from typing import Final, Protocol

from drivers.archive.entry import Entry
from drivers.archive.unpackattributes import Attributes
from drivers.archive.unpackaufs import LinkedFiles
from drivers.archive.unpacknames import split
from drivers.archive.unpackplaces import Places
from drivers.archive.whiteout import METADATA, OPAQUE, is_marker, removed_name
from drivers.errors import ArchiveError
from drivers.protocol import Whiteouts

_OPAQUE_SUFFIX: Final = b"opaque"
_BITS_OF_MISSING: Final = 0o755


class Markers(Protocol):
    """One way to deal with whiteouts, and what else differs with it."""

    dot_is_entry: bool
    """Whether an entry ``.`` says something of the root; ``/`` always does."""

    def take(self, path: bytes, entry: Entry, payload: Iterator[memoryview]) -> bool:
        """Deal with *entry* if it is a marker, and return whether it was."""

    def resolve(
        self, entry: Entry, payload: Iterator[memoryview]
    ) -> tuple[Entry, Iterator[memoryview]]:
        """Return what is to be made for *entry*, and with what in it."""

    def unpacked(self, path: bytes, *, directory: bool) -> None:
        """Something was made at *path*, or a directory was there already."""

    def made_missing(self, path: bytes, fd: int) -> None:
        """A directory was made that no entry asked for; give it its owner or mode."""

    def close(self) -> None:
        """Close what is held. A second call does nothing."""


def markers(
    whiteouts: Whiteouts, places: Places, attributes: Attributes, prefix: bytes, root: int
) -> Markers:
    """Return the way of *whiteouts*; *prefix* is that of overlay's attributes."""
    match whiteouts:
        case Whiteouts.OVERLAY:
            return _Kept(places, attributes, prefix)
        case Whiteouts.REMOVE:
            return _Removed(places, LinkedFiles(root))
        case Whiteouts.KEEP:
            return _Ordinary(attributes)


class _Ordinary:
    """Markers are files like others: the program that mounts the layer understands them."""

    dot_is_entry = False

    def __init__(self, attributes: Attributes) -> None:
        self._root_owner = attributes.root_owner()

    def take(self, path: bytes, entry: Entry, payload: Iterator[memoryview]) -> bool:
        del path, entry, payload
        return False

    def resolve(
        self, entry: Entry, payload: Iterator[memoryview]
    ) -> tuple[Entry, Iterator[memoryview]]:
        return entry, payload

    def unpacked(self, path: bytes, *, directory: bool) -> None:
        pass

    def made_missing(self, path: bytes, fd: int) -> None:
        del path
        os.fchown(fd, *self._root_owner)

    def close(self) -> None:
        pass


class _Kept(_Ordinary):
    """Markers become those of overlay, which hide what the layers below have."""

    def __init__(self, places: Places, attributes: Attributes, prefix: bytes) -> None:
        super().__init__(attributes)
        self._places, self._attributes = places, attributes
        self._opaque = prefix + _OPAQUE_SUFFIX

    def take(self, path: bytes, entry: Entry, payload: Iterator[memoryview]) -> bool:
        del payload
        parent, base = split(path)
        if not is_marker(base):
            return False
        try:
            directory = self._places.find_or_make(parent)
        except NotADirectoryError:  # the directory itself is gone: a marker before said so
            if base == OPAQUE:
                self._places.kind(parent)
            return True
        if base == OPAQUE:
            os.setxattr(directory, self._opaque, b"y")
            return True
        name = _checked_name(base, entry)
        try:
            os.mknod(name, stat.S_IFCHR, dir_fd=directory)
        except FileExistsError:
            reason = "file exists: the layer has what it also removes"
            raise ArchiveError(reason, entry=entry.name) from None
        self._attributes.set_owner(directory, name, entry)
        return True


class _Removed:
    """Markers remove from the root, which is a copy of the layers below.

    An opaque marker leaves what this archive has unpacked so far, and the directories that lead
    to it; below a link or a file it says nothing. Paths are compared as they are written. A
    directory that was cleared once has nothing of the layers below any more.
    """

    dot_is_entry = True

    def __init__(self, places: Places, links: LinkedFiles) -> None:
        self._places, self._links = places, links
        self._own: set[bytes] = {b""}
        self._clear: set[bytes] = set()

    def take(self, path: bytes, entry: Entry, payload: Iterator[memoryview]) -> bool:
        parent, base = split(path)
        if path.startswith(METADATA) and path != OPAQUE and self._links.take(entry, payload):
            self._make_missing(parent)
            return True
        if not is_marker(base):
            return False
        if base == OPAQUE:
            if self._places.kind(parent) in (None, stat.S_IFDIR):
                self._places.find_or_make(parent)
                self._clear_directory(parent)
        else:
            self._remove(parent, _checked_name(base, entry))
        return True

    def unpacked(self, path: bytes, *, directory: bool) -> None:
        if not directory:
            self._replaced(path)
        while path not in self._own:
            self._own.add(path)
            path = split(path)[0]

    def made_missing(self, path: bytes, fd: int) -> None:
        del path
        os.fchmod(fd, _BITS_OF_MISSING)

    def resolve(
        self, entry: Entry, payload: Iterator[memoryview]
    ) -> tuple[Entry, Iterator[memoryview]]:
        return self._links.resolve(entry, payload)

    def close(self) -> None:
        self._links.close()

    def _remove(self, parent: bytes, name: bytes) -> None:
        self._replaced(_joined(parent, name))
        self._make_missing(parent)
        with suppress(FileNotFoundError):  # a link to nowhere: nothing is there to be removed
            self._places.erase(parent, name)

    def _make_missing(self, path: bytes) -> None:
        if self._places.kind(path) is None:
            self._places.find_or_make(path)

    def _replaced(self, path: bytes) -> None:
        if path in self._own:  # a link may come here: what was known below it says nothing then
            self._clear.clear()

    def _clear_directory(self, path: bytes) -> None:
        waiting = [path]
        while waiting:
            path = waiting.pop()
            if path in self._clear:
                continue
            self._clear.add(path)
            for name, directory in _listing(self._places.find(path)):
                inner = _joined(path, name)
                if inner not in self._own:
                    self._places.erase(path, name)
                elif directory:
                    waiting.append(inner)


def _checked_name(marker: bytes, entry: Entry) -> bytes:
    name = removed_name(marker)
    if name is None:
        raise ArchiveError("a whiteout that names no file", entry=entry.name)
    return name


def _joined(parent: bytes, name: bytes) -> bytes:
    return parent + b"/" + name if parent else name


def _listing(directory: int) -> list[tuple[bytes, bool]]:
    with os.scandir(directory) as found:
        return [(os.fsencode(e.name), e.is_dir(follow_symlinks=False)) for e in found]
