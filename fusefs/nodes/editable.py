"""Files whose whole value can be replaced: it takes effect when it is closed.

Used by: names, metadata, flags and the like, and big data items.
Knows nothing of: records, what a value means. An error of the change is returned by close(2).
"""

import errno
import os
import stat
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Final

from fusefs.nodes.base import AttributeChange, Attributes, Caller, File, Ino, OpenFile
from fusefs.nodes.text import BytesHandle, Look, only_size_and_times

TEXT_LIMIT: Final = 1 << 20
"""Bytes of the longest text value (names, metadata, flags)."""
DATA_LIMIT: Final = 256 << 20
"""Bytes of the longest big data item that can be written through the tree."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Value:
    """Something that can be read and replaced as a whole. ``size`` is that of what read gives.

    ``given_up`` hears an error that no system call can return any more.
    """

    read: Callable[[], bytes]
    write: Callable[[bytes], None]
    size: Callable[[], int]
    given_up: Callable[[Exception], None]
    limit: int = TEXT_LIMIT


class EditableFile(File):
    """A value that is shown from memory."""

    attr_timeout = 0.0  # whoever closes a file after writing sees the new value at once

    def __init__(self, ino: Ino, look: Callable[[], Look], value: Value) -> None:
        super().__init__(ino)
        self._look, self._value = look, value

    def attributes(self) -> Attributes:
        """A regular file of mode 0644 with the exact size of the value."""
        return self._look().attributes(self.ino, stat.S_IFREG | 0o644, self._value.size())

    def set_attributes(self, change: AttributeChange, caller: Caller) -> Attributes:
        """Truncate or extend the value at once; times are taken and not kept."""
        del caller
        only_size_and_times(change)
        if change.size is not None and change.size != self._value.size():
            check_size(change.size, self._value.limit)
            self._value.write(self._value.read()[: change.size].ljust(change.size, b"\0"))
        return self.attributes()

    def open(self, flags: int, caller: Caller) -> OpenFile:
        """Open the value; for writing, a copy of it that replaces it at close."""
        del caller
        if flags & os.O_ACCMODE == os.O_RDONLY and not flags & os.O_TRUNC:
            return BytesHandle(self._value.read(), direct_io=True)
        if flags & os.O_TRUNC:
            return EditHandle(self._value, b"", truncated=True)
        return EditHandle(self._value, self._value.read())


class DiskEditableFile(EditableFile):
    """A value that is read from a disk."""

    in_memory: ClassVar[bool] = False


class EditHandle(OpenFile):
    """A value while it is being written.

    A shell that redirects opens the file, duplicates the descriptor and closes the first: that
    close comes before anything is written. So a value that was only truncated at open is not
    replaced by a close, but when the last descriptor is gone.
    """

    in_memory = False
    direct_io = True

    def __init__(
        self, value: Value, content: bytes, *, truncated: bool = False, new: bool = False
    ) -> None:
        self._value = value
        # What the value will be. Touched under the lock: several threads may share a descriptor.
        self._lock = threading.Lock()
        self._content = bytearray(content)
        self._written = False  # since the last flush
        self._spoiled = False  # a write was refused: what is here is not what was meant
        self._waits_for_release = truncated or new

    def read(self, offset: int, size: int) -> bytes:
        """What was written so far."""
        with self._lock:
            return bytes(self._content[offset : offset + size])

    def write(self, offset: int, data: bytes) -> int:
        """Put *data* at *offset*; a gap before it becomes zeros."""
        self._check_size(offset + len(data))
        with self._lock:
            self._fill_up_to(offset)
            self._content[offset : offset + len(data)] = data
            self._written = True
        return len(data)

    def truncate(self, size: int) -> None:
        """Cut off, or extend with zeros."""
        self._check_size(size)
        with self._lock:
            del self._content[size:]
            self._fill_up_to(size)
            self._written = True

    def flush(self) -> None:
        """Replace the value if anything was written since the last time.

        Raises EFBIG, and changes nothing, if a part of it was too much.
        """
        with self._lock:
            if self._spoiled:
                check_size(self._value.limit + 1, self._value.limit)
            if not self._written:
                return
            self._written = self._waits_for_release = False
            self._value.write(bytes(self._content))

    def fsync(self, *, data_only: bool) -> None:
        """The same as flush: what is replaced is on the disk."""
        del data_only
        self.flush()

    def release(self) -> None:
        """Replace by nothing what was truncated at open and never written."""
        with self._lock:
            if self._spoiled or not (self._written or self._waits_for_release):
                return
            self._written = self._waits_for_release = False
            try:
                self._value.write(bytes(self._content))
            except Exception as exc:  # noqa: BLE001  release may not raise; the error is handed on
                self._value.given_up(exc)

    def _check_size(self, size: int) -> None:
        try:
            check_size(size, self._value.limit)
        except OSError:
            self._spoiled = True
            raise

    def _fill_up_to(self, size: int) -> None:
        self._content.extend(bytes(max(0, size - len(self._content))))


def check_size(size: int, limit: int) -> None:
    """Raise EFBIG for a value of more than *limit* bytes."""
    if size > limit:
        raise OSError(errno.EFBIG, f"a value here has at most {limit} bytes")
