r"""Tar-split: the frame of an archive as lines of JSON, from which it is put together again.

Used by: drivers.archive.apply (writes), drivers.archive.reassemble (reads). Knows nothing of:
headers, files, gzip.

One object a line (store-format 10.7), in the order of the archive: type 2 is a segment of raw
bytes, type 1 is a file by its name, with the size and the CRC-64/GO-ISO of the payload that
belongs there. What is written is byte for byte what the Go tools of 1.43 write.
"""

import binascii
import json
import re
from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple

from drivers.archive.entry import cleaned
from drivers.errors import ArchiveError

_BATCH: Final = 128 << 10
_LONGEST_VALUE: Final = 64 << 20
_LONG_NAME: Final = 128
_SPECIAL: Final = re.compile(rb'[\x00-\x1f"\\<>&]|\xe2\x80[\xa8\xa9]')
_SHORT_ESCAPES: Final = {b"\n": b"\\n", b"\r": b"\\r", b"\t": b"\\t", b'"': b'\\"', b"\\": b"\\\\"}
_SPACE: Final = " \t\r\n"
_DECODER: Final = json.JSONDecoder()
_USUAL: Final = re.compile(
    rb'\{"type":(?:2,"payload":"([0-9A-Za-z+/=]*)"'
    rb'|1,"name":"([ !#-\[\]-~]+)",(?:"size":(\d{1,18}),)?"payload":(?:null|"([0-9A-Za-z+/=]*)"))'
    rb',"position":\d{1,18}\}'
)


class Segment(NamedTuple):
    """Bytes of the archive as they are."""

    payload: bytes


class File(NamedTuple):
    """The place of a payload. ``crc`` is that of nothing (0) if the archive had none there."""

    name: bytes
    size: int
    crc: int


class Writer:
    """Gives the lines of one archive to *write*, many at a time."""

    def __init__(self, write: Callable[[bytes], None]) -> None:
        self._write = write
        self._names = _Names()
        self._encoded = b"", b""
        """The last segment and its text: gigabytes of zeros at the end are all the same."""
        self._lines: list[bytes] = []
        self._length = 0
        self._position = 0

    def claim(self, name: bytes) -> None:
        """Refuse *name* if an entry before it has the same cleaned path: ArchiveError."""
        self._names.add(name)

    def segment(self, payload: bytes) -> None:
        """Add raw bytes."""
        if payload != self._encoded[0]:
            self._encoded = payload, binascii.b2a_base64(payload, newline=False)
        end = b'","position":%d}\n' % self._position
        self._add(b"".join((b'{"type":2,"payload":"', self._encoded[1], end)))

    def file(self, name: bytes, size: int, crc: int) -> None:
        """Add the place of a payload of *size* bytes."""
        checksum = b"null"
        if size:
            raw = crc.to_bytes(8, "big")
            checksum = b'"%b"' % binascii.b2a_base64(raw, newline=False)
        length = b'"size":%d,' % size if size else b""
        parts = (_member(name), length, checksum, self._position)
        self._add(b'{"type":1,%b%b"payload":%b,"position":%d}\n' % parts)

    def finish(self) -> None:
        """Add what ends every file of 1.43, a segment of no bytes, and write the last lines."""
        self.segment(b"")
        self._flush()

    def _add(self, line: bytes) -> None:
        self._lines.append(line)
        self._length += len(line)
        self._position += 1
        if self._length >= _BATCH:
            self._flush()

    def _flush(self) -> None:
        self._write(b"".join(self._lines))
        self._lines.clear()
        self._length = 0


def read(chunks: Iterator[bytes]) -> Iterator[Segment | File]:
    """The entries of the plain JSON in *chunks*, each on one line, with any white space between.

    Raises ArchiveError.
    """
    names = _Names()
    for line in _lines(chunks):
        usual = _USUAL.fullmatch(line)
        for entry in [_usual(usual)] if usual else map(_entry, _decoded(line)):
            if isinstance(entry, File):
                names.add(entry.name)
            yield entry


class _Names:
    """Which cleaned paths were there. A long one costs no more memory than a short one."""

    def __init__(self) -> None:
        self._seen: set[bytes] = set()

    def add(self, name: bytes) -> None:
        key = cleaned(name)
        if len(key) > _LONG_NAME:
            from hashlib import sha256  # loads OpenSSL, which few archives need

            key = sha256(key).digest()
        if key in self._seen:
            raise ArchiveError("duplicates of file paths not supported", entry=name)
        self._seen.add(key)


def _member(name: bytes) -> bytes:
    """The member for *name*: text if it is UTF-8; none at all if it is empty."""
    if not name:
        return b""
    try:
        name.decode()
    except UnicodeDecodeError:
        return b'"name_raw":"%b",' % binascii.b2a_base64(name, newline=False)
    return b'"name":"%b",' % _SPECIAL.sub(_escape, name)


def _escape(match: re.Match[bytes]) -> bytes:
    special = match[0]
    return _SHORT_ESCAPES.get(special) or b"\\u%04x" % ord(special.decode())


def _lines(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """The lines, without their ends; the whole file is never in memory."""
    rest = b""
    for chunk in chunks:
        *whole, rest = (rest + chunk).split(b"\n")
        yield from whole
        if len(rest) > _LONGEST_VALUE:
            raise ArchiveError("the tar-split file has a value that is too large")
    yield rest


def _usual(match: re.Match[bytes]) -> Segment | File:
    """The entry of a line that is written as the Go tools do and has nothing to unescape."""
    segment, name, size, checksum = match.groups()
    try:
        if name is None:
            return Segment(binascii.a2b_base64(segment, strict_mode=True))
        crc = binascii.a2b_base64(checksum or b"", strict_mode=True)
    except ValueError as error:
        raise ArchiveError(f"the tar-split file is damaged: {error}") from None
    return File(name, int(size or 0), int.from_bytes(crc, "big"))


def _decoded(line: bytes) -> Iterator[Any]:
    """The JSON values of a line, with any white space between."""
    try:
        text = line.decode()
        at = _skip_space(text, 0)
        while at < len(text):
            value, at = _DECODER.raw_decode(text, at)
            yield value
            at = _skip_space(text, at)
    except (ValueError, RecursionError) as error:
        raise ArchiveError(f"the tar-split file is damaged: {error}") from None


def _skip_space(text: str, at: int) -> int:
    while at < len(text) and text[at] in _SPACE:
        at += 1
    return at


def _entry(value: Any) -> Segment | File:
    try:
        match value:
            case {"type": 2, "payload": str(payload)}:
                return Segment(binascii.a2b_base64(payload, strict_mode=True))
            case {"type": 2, "payload": None}:
                return Segment(b"")
            case {"type": 1}:
                return _file(value)
    except (ValueError, TypeError) as error:
        raise ArchiveError(f"the tar-split file is damaged: {error}") from None
    raise ArchiveError(f"the tar-split file is damaged: unknown entry {str(value)[:100]}")


def _file(value: dict[str, Any]) -> File:
    raw = binascii.a2b_base64(value.get("name_raw") or "", strict_mode=True)
    name, size = value.get("name", ""), value.get("size", 0)
    if not isinstance(name, str) or not isinstance(size, int) or size < 0:
        raise ValueError(f"{name!r} is no name or {size!r} is no size")
    checksum = binascii.a2b_base64(value.get("payload") or "", strict_mode=True)
    return File(raw or name.encode(), size, int.from_bytes(checksum, "big"))
