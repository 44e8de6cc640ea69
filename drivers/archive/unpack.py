"""Unpacking a layer's archive below a directory, as the Go tools do and nowhere else.

Used by: backend.api (a layer that arrives). Knows nothing of: compression, digests, stores.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from types import TracebackType

from drivers.archive.entry import Entry
from drivers.idmap.maps import IDMap
from drivers.protocol import Whiteouts


@dataclass(frozen=True, slots=True)
class UnpackOptions:
    """How owners and attributes of the entries reach the disk.

    The maps lead from the archive's IDs to those on disk; empty is the identity. In a user
    namespace (``rootless``) device nodes are left out and attributes that are refused are lost.
    ``xattr_prefix`` is that of overlay's own attributes, for opaque directories.
    """

    uid_map: tuple[IDMap, ...] = ()
    gid_map: tuple[IDMap, ...] = ()
    rootless: bool = False
    ignore_chown_errors: bool = False
    xattr_prefix: bytes = b"trusted.overlay."


class Unpacker:
    """An EntrySink that makes every entry below *root*, a descriptor that stays the caller's.

    Close it (or use ``with``) whether or not all went well: it holds descriptors.
    """

    def __init__(self, root: int, *, whiteouts: Whiteouts, options: UnpackOptions) -> None:
        self._root, self._whiteouts, self._options = root, whiteouts, options

    def add(self, entry: Entry, payload: Iterator[memoryview]) -> None:
        """Make *entry*. Raises ArchiveError, which names it; what was made before stays."""
        raise NotImplementedError

    def finish(self) -> None:
        """Set the times of the directories; no entry may follow."""
        raise NotImplementedError

    def close(self) -> None:
        """Close the descriptors that were kept. A second call does nothing."""

    def __enter__(self) -> Unpacker:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
