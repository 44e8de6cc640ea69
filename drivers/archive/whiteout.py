"""How a layer's archive says that something below it is gone: the names of AUFS (pure).

Used by: drivers.archive's unpacking and packing. Knows nothing of: files.

An entry ``.wh.NAME`` removes NAME of the layers below; ``.wh..wh..opq`` hides everything that
the layers below have in its directory. Names that begin with ``.wh..wh.`` at the top of an
archive are what AUFS kept for itself, :data:`LINKS` among them the files that have several names.
"""

from typing import Final

PREFIX: Final = b".wh."
METADATA: Final = b".wh..wh."
LINKS: Final = b".wh..wh.plnk"
OPAQUE: Final = b".wh..wh..opq"


def is_marker(name: bytes) -> bool:
    """Whether *name*, one path component, is a whiteout or an opaque marker."""
    return name.startswith(PREFIX)


def removed_name(marker: bytes) -> bytes | None:
    """Return the name that a whiteout (not the opaque marker) removes.

    None where that is no name: nothing at all, ``.`` and ``..`` would be the directory itself
    or its parent.
    """
    name = marker.removeprefix(PREFIX)
    return None if name in (b"", b".", b"..") else name


def marker_of(name: bytes) -> bytes:
    """Return the whiteout that removes *name*."""
    return PREFIX + name
