"""What one header of a tar archive says (pure).

Used by: drivers.archive, whoever takes entries (an EntrySink). Knows nothing of: blocks, bytes
of the archive, files.
"""

import posixpath
import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

NO_XATTRS: Final[Mapping[bytes, bytes]] = MappingProxyType({})

_UNCLEAN: Final = re.compile(rb"(?:^|/)\.{0,2}(?:/|\Z)")
"""A component that is empty or one or two dots."""

REGULAR: Final = b"0"
HARD_LINK: Final = b"1"
SYMLINK: Final = b"2"
CHARACTER: Final = b"3"
BLOCK: Final = b"4"
DIRECTORY: Final = b"5"
FIFO: Final = b"6"


class Entry(NamedTuple):
    """One entry, after PAX records and GNU long names were applied.

    ``name`` and ``linkname`` are as the archive has them: not cleaned, possibly absolute, with
    dots, and not UTF-8. ``type`` is the typeflag, where NUL and the contiguous file of old are
    REGULAR and a name of the oldest format that ends in a slash is a DIRECTORY; types that are
    none of the names above occur. ``size`` is that of the payload that follows. IDs are between
    0 and 2^32 - 2. Times are nanoseconds since 1970; ``atime_ns`` is None if not recorded.
    ``device`` is major and minor. ``xattrs`` holds the records SCHILY.xattr.* without that prefix.
    """

    name: bytes
    type: bytes
    linkname: bytes = b""
    size: int = 0
    mode: int = 0
    uid: int = 0
    gid: int = 0
    mtime_ns: int = 0
    atime_ns: int | None = None
    device: tuple[int, int] = (0, 0)
    xattrs: Mapping[bytes, bytes] = NO_XATTRS


def cleaned(name: bytes) -> bytes:
    """*name* without empty and dot components, and without going up where that is possible.

    As Go's path.Clean: "." for an empty name, one slash at the front of an absolute one.
    """
    relative = name.removeprefix(b"./").removesuffix(b"/")
    if relative and not _UNCLEAN.search(relative):
        return relative
    clean = posixpath.normpath(name)
    return clean[1:] if clean.startswith(b"//") else clean
