"""What a directory should hold, by the tar-splits of the layers that were unpacked into it.

Used by: drivers.archive.compare, backend.api.checkcontent. Knows nothing of: directories, stores.

A tar-split has every header of an archive and a checksum of every file, so what an unpacked
layer looks like can be told without its content. Paths are relative, b"" is the root.
"""

import posixpath
from collections import defaultdict
from collections.abc import Iterator
from typing import BinaryIO, Final, NamedTuple

from drivers.archive import compression, scanner, tarsplit, whiteout
from drivers.archive.compression import Compression
from drivers.archive.entry import DIRECTORY, HARD_LINK, REGULAR, Entry
from drivers.archive.unpacknames import is_dot

_READ: Final = 1 << 20
_ZEROS: Final = bytes(_READ)


class Item(NamedTuple):
    """One path. ``entry`` is None for a directory that the archive only implies.

    ``checksum`` is the CRC-64/GO-ISO of a regular file's content.
    """

    entry: Entry | None
    checksum: int = 0


class Expected:
    """Paths with what should be there; and what a layer removes from those below.

    ``removed`` are paths, ``opaque`` directories whose content below is hidden, ``touched``
    directories whose time of change is that of the unpacking, which nobody knows.
    """

    def __init__(self) -> None:
        self.items: dict[bytes, Item] = {}
        self.removed: set[bytes] = set()
        self.opaque: set[bytes] = set()
        self.touched: set[bytes] = set()

    def resolved(self, path: bytes) -> Item | None:
        """The item at *path*, or what it is another name of."""
        seen: set[bytes] = set()
        item = self.items.get(path)
        while item and item.entry and item.entry.type == HARD_LINK and path not in seen:
            seen.add(path)
            path = relative(item.entry.linkname)
            item = self.items.get(path)
        return item


def of_layer(tar_split: BinaryIO, *, dot_is_entry: bool) -> Expected:
    """What one layer adds and removes. Raises ArchiveError.

    *dot_is_entry* is whether an entry ``.`` was heeded when the layer was unpacked, as in
    drivers.archive.unpackmarkers.
    """
    expected = Expected()
    for entry, checksum in _entries(tar_split):
        if not dot_is_entry and is_dot(entry.name):
            continue
        path = relative(entry.name)
        directory, name = posixpath.split(path)
        if name == whiteout.OPAQUE:
            expected.opaque.add(directory)
        elif whiteout.is_marker(name):
            removed = whiteout.removed_name(name)
            if removed is not None:
                expected.removed.add(posixpath.join(directory, removed))
        else:
            expected.items[path] = Item(entry, checksum)
            expected.removed.discard(path)
    _imply(expected.items)
    return expected


class Stacked:
    """What several layers, unpacked over each other from the lowest, leave in one tree."""

    def __init__(self) -> None:
        self.expected = Expected()
        self._children: defaultdict[bytes, set[bytes]] = defaultdict(set)

    def add(self, layer: Expected) -> None:
        """Unpack *layer* over the rest."""
        for directory in layer.opaque:
            for child in tuple(self._children[directory]):
                self._remove(child)
        for path in layer.removed:
            self._remove(path)
        for path, item in _without_metadata(layer.items):
            self._put(path, item)
        self.expected.touched -= {path for path, item in layer.items.items() if item.entry}

    def _put(self, path: bytes, item: Item) -> None:
        items = self.expected.items
        if item.entry is None:
            items.setdefault(path, item)
        else:
            if path in items and item.entry.type != DIRECTORY:
                self._remove(path)
            items[path] = item
        if path:
            directory = posixpath.dirname(path)
            self._children[directory].add(path)
            self.expected.touched.add(directory)

    def _remove(self, path: bytes) -> None:
        waiting = [path]
        while waiting:
            gone = waiting.pop()
            self.expected.items.pop(gone, None)
            waiting += self._children.pop(gone, ())
            self._children[posixpath.dirname(gone)].discard(gone)
            self.expected.touched.add(posixpath.dirname(gone))


def _without_metadata(items: dict[bytes, Item]) -> Iterator[tuple[bytes, Item]]:
    """Paths that an archive makes in a whole tree: of AUFS's own there are only directories.

    A link to one of its files is that file.
    """
    kept = {
        posixpath.basename(path): item
        for path, item in items.items()
        if path.startswith(whiteout.LINKS) and item.entry and item.entry.type == REGULAR
    }
    for path, item in items.items():
        target = item.entry.linkname if item.entry and item.entry.type == HARD_LINK else b""
        if path.startswith(whiteout.METADATA):
            if directory := posixpath.dirname(path):
                yield directory, Item(None)
        elif posixpath.normpath(target).startswith(whiteout.LINKS):
            yield path, kept.get(posixpath.basename(target), item)
        else:
            yield path, item


def relative(name: bytes) -> bytes:
    """An archive's name as a path below the root."""
    return posixpath.normpath(b"/" + name).lstrip(b"/")


def _imply(items: dict[bytes, Item]) -> None:
    """Add the directories above every path that have no entries of their own."""
    for path in tuple(items):
        while path:
            path = posixpath.dirname(path)  # noqa: PLW2901 - upwards until one is known
            if path in items:
                break
            items[path] = Item(None)


def _entries(tar_split: BinaryIO) -> Iterator[tuple[Entry, int]]:
    """Every entry with the checksum of its content."""
    checksums: dict[bytes, int] = {}
    for member in scanner.scan(_hollow(tar_split, checksums)):
        if member.entry is None or member.entry.type == scanner.GLOBAL:
            continue
        for _ in member.payload:
            pass
        yield member.entry, checksums.pop(member.entry.name, 0)


def _hollow(tar_split: BinaryIO, checksums: dict[bytes, int]) -> Iterator[bytes]:
    """The archive with zeros in the place of every content."""
    stored = iter(lambda: tar_split.read(_READ), b"")
    for part in tarsplit.read(compression.decompressed(stored, Compression.GZIP)):
        if isinstance(part, tarsplit.Segment):
            yield part.payload
            continue
        checksums[part.name] = part.crc
        left = part.size if part.crc else 0
        while left:
            yield _ZEROS[:left]
            left -= min(left, _READ)
