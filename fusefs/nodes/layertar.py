"""``layers/<id>/layer.tar``: what the layer adds, as an uncompressed tar archive.

Used by: fusefs.nodes.layer. Knows nothing of: how an archive is put together (backend.api.diffs).
Where the archive that the layer was made of can be put together again it has its exact size and is
read at any offset. Else it is made while it is read: its size is not known before and reads as 0.
"""

import stat
import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, ClassVar

from fusefs.nodes.base import Attributes, Caller, File, Ino, OpenFile
from fusefs.nodes.text import Look, refuse_writing

if TYPE_CHECKING:
    from backend.api.diffs import Archive, DiffStream
    from backend.api.layers import Layers
    from backend.model.records import Layer
    from drivers.archive.compression import Compression


class LayerTar(File):
    """The archive of one layer; *layer* gives its record as last seen."""

    in_memory: ClassVar[bool] = False
    attr_timeout = 0.0

    def __init__(
        self, ino: Ino, look: Callable[[], Look], layers: "Layers", layer: "Callable[[], Layer]"
    ) -> None:
        super().__init__(ino)
        self._look, self._layers, self._layer = look, layers, layer

    def attributes(self) -> Attributes:
        """A regular file of mode 0444."""
        size = max(self._layers.archive_size(self._layer()), 0)
        return self._look().attributes(self.ino, stat.S_IFREG | 0o444, size)

    def open(self, flags: int, caller: Caller) -> OpenFile:
        """Read what the archive is made of, or begin to make one."""
        del caller
        refuse_writing(flags)
        layer = self._layer()
        archive = self._layers.archive(layer.id) if self._layers.archive_size(layer) >= 0 else None
        if archive is not None:
            return ArchiveHandle(archive)
        return StreamHandle(lambda: self._layers.diff(layer.id, compression=_plain()))


class ArchiveHandle(OpenFile):
    """An archive that is read at any offset."""

    in_memory = False

    def __init__(self, archive: "Archive") -> None:
        self._archive = archive

    def read(self, offset: int, size: int) -> bytes:
        """A piece of it."""
        return self._archive.read(offset, size)

    def release(self) -> None:
        """Let go of its files."""
        self._archive.close()


class StreamHandle(OpenFile):
    """An archive that is made while it is read: on is cheap, back begins again."""

    in_memory = False
    direct_io = True
    reads_records = True  # at the end: whether the layer is still there

    def __init__(self, begin: "Callable[[], DiffStream]") -> None:
        self._begin = begin
        self._lock = threading.Lock()
        self._start()

    def _start(self) -> None:
        self._stream = self._begin()
        self._pieces: Iterator[bytes] = iter(self._stream)
        self._position, self._ahead = 0, b""
        self._failed = False

    def read(self, offset: int, size: int) -> bytes:
        """What is there, made up to there if need be."""
        with self._lock:
            if offset < self._position or self._failed:
                self._stream.close()
                self._start()
            try:
                return self._read(offset, size)
            except BaseException:
                self._failed = True  # what comes next must not look like the end
                raise

    def _read(self, offset: int, size: int) -> bytes:
        while self._position + len(self._ahead) <= offset and self._more():
            pass
        skipped = min(offset - self._position, len(self._ahead))
        self._position, self._ahead = self._position + skipped, self._ahead[skipped:]
        found = [self._ahead]
        length = len(self._ahead)
        while length < size and (piece := next(self._pieces, b"")):
            found.append(piece)
            length += len(piece)
        whole = b"".join(found)
        self._position, self._ahead = self._position + min(size, length), whole[size:]
        return whole[:size]

    def _more(self) -> bool:
        """Drop what is ahead and make the next piece; False at the end."""
        self._position += len(self._ahead)
        self._ahead = next(self._pieces, b"")
        return bool(self._ahead)

    def release(self) -> None:
        """Stop making it."""
        with self._lock:
            self._stream.close()


def _plain() -> "Compression":
    from drivers.archive.compression import Compression

    return Compression.NONE
