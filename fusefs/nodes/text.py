"""Read-only files whose content is made here: exact size, or generated at open.

Used by: every node that shows a value. Knows nothing of: records, what the text means.
"""

import os
import stat
from collections.abc import Callable
from typing import ClassVar, Final, NamedTuple

from fusefs.nodes.base import (
    LONG,
    AttributeChange,
    Attributes,
    Caller,
    Directory,
    File,
    Ino,
    Link,
    OpenFile,
    RefusedError,
)

BLOCK: Final = 512


class Look(NamedTuple):
    """Owner and times of a synthetic node (nanoseconds)."""

    uid: int = 0
    gid: int = 0
    mtime_ns: int = 0
    ctime_ns: int = 0

    def attributes(self, ino: Ino, mode: int, size: int = 0) -> Attributes:
        """stat(2) of a node that looks like this; one link, so that find looks into it."""
        uid, gid, mtime_ns, ctime_ns = self
        return Attributes(
            ino=ino,
            mode=mode,
            uid=uid,
            gid=gid,
            size=size,
            blocks=-(-size // BLOCK),
            atime_ns=mtime_ns,
            mtime_ns=mtime_ns,
            ctime_ns=ctime_ns,
        )


class BytesHandle(OpenFile):
    """An open file whose content is what it was at open."""

    def __init__(self, content: bytes, *, direct_io: bool = False) -> None:
        self._content = content
        self.direct_io = direct_io

    def read(self, offset: int, size: int) -> bytes:
        """A slice of the content."""
        return self._content[offset : offset + size]


class TextFile(File):
    """A text that is made from memory, with its exact size."""

    def __init__(
        self,
        ino: Ino,
        look: Callable[[], Look],
        render: Callable[[], bytes],
        *,
        attr_timeout: float = LONG,
    ) -> None:
        super().__init__(ino)
        self._look, self._render = look, render
        self.attr_timeout = attr_timeout

    def attributes(self) -> Attributes:
        """A regular file of mode 0444."""
        return self._look().attributes(self.ino, stat.S_IFREG | 0o444, len(self._render()))

    def open(self, flags: int, caller: Caller) -> OpenFile:
        """Take the text as it is now."""
        del caller
        refuse_writing(flags)
        return BytesHandle(self._render(), direct_io=self.attr_timeout == 0)


class DiskTextFile(TextFile):
    """The same for a text that is made from what is on a disk."""

    in_memory: ClassVar[bool] = False


class ProbeFile(DiskTextFile):
    """The same for a text that tells of directories: no store lock is taken for it."""

    lock_free: ClassVar[bool] = True


class GeneratedFile(File):
    """A text that is made when the file is opened; its size is not known before and reads as 0."""

    def __init__(self, ino: Ino, look: Callable[[], Look], render: Callable[[], bytes]) -> None:
        super().__init__(ino)
        self._look, self._render = look, render

    def attributes(self) -> Attributes:
        """A regular file of mode 0444 and size 0."""
        return self._look().attributes(self.ino, stat.S_IFREG | 0o444)

    def open(self, flags: int, caller: Caller) -> OpenFile:
        """Make the text."""
        del caller
        refuse_writing(flags)
        return BytesHandle(self._render(), direct_io=True)


class RelativeLink(Link):
    """A symlink to another node of the tree."""

    def __init__(self, ino: Ino, look: Callable[[], Look], target: bytes) -> None:
        super().__init__(ino)
        self._look, self._target = look, target

    def attributes(self) -> Attributes:
        """A symlink of mode 0777 as long as its target."""
        return self._look().attributes(self.ino, stat.S_IFLNK | 0o777, len(self._target))

    def target(self) -> bytes:
        """Relative to the directory that the link is in."""
        return self._target


class SyntheticDirectory(Directory):
    """A directory that exists in memory only."""

    def __init__(self, ino: Ino, look: Callable[[], Look], *, mode: int = 0o755) -> None:
        super().__init__(ino)
        self._look, self._mode = look, mode

    def attributes(self) -> Attributes:
        """A directory with one link: how many directories it has is not counted."""
        return self._look().attributes(self.ino, stat.S_IFDIR | self._mode)


def refuse_writing(flags: int) -> None:
    """Raise EPERM if *flags* of open(2) ask to change a file that only shows something."""
    if flags & os.O_ACCMODE != os.O_RDONLY or flags & os.O_TRUNC:
        raise RefusedError("this file only shows something", remedy="open it for reading")


def only_size_and_times(change: AttributeChange) -> None:
    """Raise EPERM if *change* asks for more than a size and times."""
    if change.mode is not None or change.uid is not None or change.gid is not None:
        remedy = "write the value without keeping mode and owner (cp without -p)"
        raise RefusedError("mode and owner of this file cannot be changed", remedy=remedy)
