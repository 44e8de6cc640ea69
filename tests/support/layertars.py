"""Archives for tests of layers that arrive, and what of a store they may have touched.

Used by: tests of Layers.put and Layers.apply_diff, alone and beside the Go tools.
"""

import gzip
import io
import lzma
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

from tests.support.ociimage import Entry, layer_tar

BASE = layer_tar(
    [
        Entry("etc"),
        Entry("etc/motd", b"hello\n"),
        Entry("etc/passwd", b"root:x:0:0::/:/bin/sh\n"),
        Entry("usr"),
        Entry("usr/old"),
        Entry("usr/old/file", b"old\n"),
        Entry("link", link="etc/motd"),
        Entry("empty", b""),
    ]
)
TOP = layer_tar(
    [
        Entry("etc"),
        Entry("etc/.wh.motd", b""),
        Entry("usr"),
        Entry("usr/old"),
        Entry("usr/old/.wh..wh..opq", b""),
        Entry("usr/old/new", b"new\n" * 999),
    ]
)


def zstd(data: bytes) -> bytes:
    """*data* as the zstd program compresses it."""
    return subprocess.run(["zstd", "-q"], input=data, capture_output=True, check=True).stdout


def bzip2(data: bytes) -> bytes:
    """*data* as the bzip2 program compresses it."""
    return subprocess.run(["bzip2", "-q"], input=data, capture_output=True, check=True).stdout


PACKED: dict[int, Callable[[bytes], bytes]] = {
    0: bytes,
    1: bzip2,
    2: lambda data: gzip.compress(data, mtime=0),
    3: lzma.compress,
    4: zstd,
}
"""How to compress, by the number in a layer's record."""


class Interrupted(io.RawIOBase):
    """*data*, but *act* is called once its first half was read."""

    def __init__(self, data: bytes, act: Callable[[], object]) -> None:
        self._rest, self._half, self._act = data, len(data) // 2, act

    def readable(self) -> bool:
        """It can be read."""
        return True

    def readinto(self, buffer: object) -> int:
        """Give a piece; the middle is never inside one."""
        view = memoryview(buffer).cast("B")
        if self._half == 0:
            self._half = -1
            self._act()
        limit = self._half if self._half > 0 else len(self._rest)
        count = min(len(view), limit, len(self._rest))
        view[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        self._half -= count if self._half > 0 else 0
        return count


def files_of(root: str | Path) -> set[str]:
    """Every path of a store but for what opening and locking leaves, relative to *root*."""
    found = set()
    for directory, names, files in os.walk(root):
        for name in (*names, *files):
            path = os.path.relpath(os.path.join(directory, name), root)
            if not path.endswith(".lock"):
                found.add(path)
    return found


def unpacked(path: str | Path) -> dict[str, str]:
    """What is in a directory: path to content, link target or kind."""
    found = {}
    for directory, names, files in os.walk(path):
        for name in (*names, *files):
            whole = Path(directory, name)
            key = os.path.relpath(whole, path)
            if whole.is_symlink():
                found[key] = f"-> {os.readlink(whole)}"
            elif whole.is_file():
                found[key] = whole.read_text()
            else:
                found[key] = "directory" if whole.is_dir() else "other"
    return found
