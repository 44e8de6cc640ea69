"""The file system that operations are tried on: brought back to one state again and again.

Used by: tests.support.crashlives. In a mount namespace of its own.
"""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Final, Protocol

from tests.support import mounttable

_MEGABYTES: Final = 160


class Disk(Protocol):
    """``store`` is the directory on it."""

    store: str

    def keep(self) -> None:
        """Remember the state as it is now."""
        ...

    def restore(self) -> None:
        """Bring it back; nothing is mounted there then but what the disk needs."""
        ...


class Memory:
    """A directory of a tmpfs, kept as a copy."""

    def __init__(self, base: str) -> None:
        self.store, self._kept = f"{base}/store", f"{base}/kept"
        os.mkdir(self.store)

    def keep(self) -> None:
        """Make a copy."""
        _run("cp", "-a", self.store, self._kept)

    def restore(self) -> None:
        """Put the copy in the place of what is there."""
        mounttable.unmount_below(self.store)
        _run("rm", "-rf", self.store)
        _run("cp", "-a", self._kept, self.store)


class Btrfs:
    """A btrfs file system in a file, kept as a copy of the file.

    Each state is mounted from a file of its own: the loop device of the last one may not be gone
    yet, and remembers its blocks.
    """

    def __init__(self, base: str) -> None:
        self.store, self._kept, self._base = f"{base}/store", f"{base}/kept", base
        self._number = 0
        os.mkdir(self.store)
        with open(self._image, "wb") as file:
            file.truncate(_MEGABYTES << 20)
        _run("mkfs.btrfs", "--quiet", self._image)
        _run("mount", "-o", "loop", self._image, self.store)

    @property
    def _image(self) -> str:
        return f"{self._base}/image{self._number}"

    def keep(self) -> None:
        """Unmount it, so that the file is complete, and set the file aside."""
        mounttable.unmount_below(self.store)
        os.rename(self._image, self._kept)

    def restore(self) -> None:
        """Mount a copy of the file."""
        mounttable.unmount_below(self.store)
        Path(self._image).unlink(missing_ok=True)
        self._number += 1
        _run("cp", "--sparse=always", self._kept, self._image)
        _run("mount", "-o", "loop", self._image, self.store)


DISKS: Final[dict[str, Callable[[str], Disk]]] = {"tmpfs": Memory, "btrfs": Btrfs}


def _run(*words: str) -> None:
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL, timeout=60)
