"""Exact pieces of bytes that come in chunks of any size, without copying payloads.

Used by: drivers.archive.scanner. Knows nothing of: tar.
"""

from __future__ import annotations

from collections.abc import Iterator

from drivers.errors import ArchiveError


class Stream:
    """Reads from *chunks*. ``offset`` is the number of bytes taken so far."""

    __slots__ = ("_before", "_chunk", "_chunks", "_position")

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._chunk = b""
        self._position = 0
        self._before = 0

    @property
    def offset(self) -> int:
        """Bytes taken so far."""
        return self._before + self._position

    def read(self, count: int) -> bytes:
        """*count* bytes, fewer only at the end."""
        start = self._position
        if start + count <= len(self._chunk):
            self._position = start + count
            return self._chunk[start : self._position]
        return b"".join(self._available(count))

    def payload(self, count: int) -> Iterator[memoryview]:
        """*count* bytes as views of the chunks. Raises ArchiveError if they end before."""
        left = count
        for piece in self._available(count):
            left -= len(piece)
            yield piece
        if left:
            raise ArchiveError(f"unexpected EOF: {left} bytes of a file are missing")

    def skip(self, count: int) -> int:
        """Count *count* bytes as taken; the number of them that *chunks* must leave out yet."""
        end = self._position + count
        outside = max(0, end - len(self._chunk))
        self._position = end - outside
        self._before += outside
        return outside

    def _available(self, count: int) -> Iterator[memoryview]:
        while count > 0 and (self._position < len(self._chunk) or self._refill()):
            start = self._position
            self._position = min(start + count, len(self._chunk))
            count -= self._position - start
            yield memoryview(self._chunk)[start : self._position]

    def _refill(self) -> bool:
        """Whether there was one more chunk, which is now the current one."""
        self._before += len(self._chunk)
        self._position = 0
        self._chunk = b""
        for chunk in self._chunks:
            if chunk:
                self._chunk = chunk
                return True
        return False
