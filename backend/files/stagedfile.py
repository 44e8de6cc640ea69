"""A file that is written outside the locks and put in its place, whole, under them.

Used by: backend.api. Knows nothing of: what is in it. It grows in the store's trash directory,
so that one whose maker died is erased by the next writer.
"""

import os
from contextlib import suppress
from typing import BinaryIO

from drivers.linux import atomicfile
from drivers.trash import TrashDirectory


class StagedFile:
    """``file`` is open for writing and reading. What was not placed is erased with the block."""

    def __init__(self, trash_root: str) -> None:
        self._trash = TrashDirectory(trash_root)
        try:
            self._path = self._trash.addition()
            flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            self.file: BinaryIO = os.fdopen(os.open(self._path, flags, 0o600), "w+b")
        except BaseException:
            self._trash.erase()
            raise

    def seal(self) -> None:
        """Make the content durable; the file is closed."""
        with self.file:
            self.file.flush()
            os.fchmod(self.file.fileno(), 0o600)
            os.fsync(self.file.fileno())

    def place(self, path: str) -> None:
        """Rename the sealed file to *path*; the name is durable on return."""
        os.rename(self._path, path)
        atomicfile.sync_directory(os.path.dirname(path))

    def __enter__(self) -> "StagedFile":
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):  # of what was not sealed nobody misses the end
            self.file.close()
        self._trash.erase()
