"""Where an entry of an archive belongs, from its name alone (pure).

Used by: drivers.archive.unpack and its parts, drivers.archive.expected.
Knows nothing of: files, links on the way.
"""

from __future__ import annotations

import posixpath
from typing import Final

from drivers.errors import ArchiveError

_LONGEST: Final = 4094
"""Bytes of a path that can still be opened: PATH_MAX without NUL and the slash of the root."""


def inside(name: bytes, *, entry: bytes) -> bytes:
    """Return the path below the root that *name* means: no slash around it, no dots, no ``..``.

    Empty is the root itself. A ``..`` at the root stays there, as in a root directory of its own.
    Raises ArchiveError, which names *entry*, for what no file can be called.
    """
    if b"\0" in name:
        raise ArchiveError("a NUL in its name", entry=entry)
    path = name
    if b"/." in name or b"//" in name or name[:1] in (b".", b"/") or name[-1:] == b"/":
        path = posixpath.normpath(b"/" + name).lstrip(b"/")
    if len(path) > _LONGEST:
        raise ArchiveError("File name too long", entry=entry)
    return path


def is_dot(name: bytes) -> bool:
    """Whether *name* is another way to write ``.``; the root can also be ``/`` or ``..``."""
    return posixpath.normpath(name) == b"."


def split(path: bytes) -> tuple[bytes, bytes]:
    """Return the directory of *path* (empty: the root) and its last component."""
    parent, _, base = path.rpartition(b"/")
    return parent, base
