"""Tar archives field by field, or as tarfile and GNU tar make them; and a sink that remembers.

Used by: tests of drivers.archive and tests/compat/test_archive_gotools.py.
"""

import io
import tarfile
from collections.abc import Iterator
from typing import Any

from drivers.archive.entry import Entry

END = bytes(1024)
USTAR, GNU, V7 = b"ustar\x0000", b"ustar  \0", bytes(8)
_PLACES = {
    "name": (0, 100),
    "mode": (100, 8),
    "uid": (108, 8),
    "gid": (116, 8),
    "size": (124, 12),
    "mtime": (136, 12),
    "type": (156, 1),
    "linkname": (157, 100),
    "magic": (257, 8),
    "major": (329, 8),
    "minor": (337, 8),
    "prefix": (345, 155),
    "trailer": (508, 4),
}


def header(**fields: bytes | int) -> bytes:
    """One block: numbers in octal, bytes as they are; what is not given is plausible."""
    usual: dict[str, bytes | int] = {"name": b"f", "mode": 0o644, "uid": 0, "gid": 0, "size": 0}
    usual |= {"mtime": 1, "type": b"0", "magic": USTAR}
    block = bytearray(512)
    for field, value in (usual | fields).items():
        start, length = _PLACES[field]
        text = b"%0*o" % (length - 1, value) if isinstance(value, int) else value
        assert len(text) <= length
        block[start : start + len(text)] = text
    return with_checksum(bytes(block))


def with_checksum(block: bytes) -> bytes:
    """*block* with the checksum that it should have."""
    total = sum(block[:148]) + sum(block[156:]) + 8 * 0x20
    return block[:148] + b"%06o\0 " % total + block[156:]


def padded(data: bytes) -> bytes:
    """*data* and zeros up to the next block."""
    return data + bytes(-len(data) % 512)


def file(name: bytes, data: bytes = b"", **fields: bytes | int) -> bytes:
    """Header and content of a regular file."""
    return header(name=name, size=len(data), **fields) + padded(data)


def record(key: bytes, value: bytes) -> bytes:
    """One record of an extended header."""
    rest = b" " + key + b"=" + value + b"\n"
    length = len(rest)
    while length != len(rest) + len(str(length)):
        length = len(rest) + len(str(length))
    return str(length).encode() + rest


def extended(*records: bytes, type: bytes = b"x") -> bytes:  # noqa: A002 - as the field
    """An extended header with *records*, each made by ``record``."""
    return file(b"pax", b"".join(records), type=type)


def archive(format: int, *members: tuple[str, bytes | None, dict[str, Any]]) -> bytes:  # noqa: A002 - see tarfile
    """What tarfile makes: a directory where the content is None, unless a type is given."""
    out = io.BytesIO()
    with tarfile.open(
        fileobj=out, mode="w", format=format, encoding="utf-8", errors="surrogateescape"
    ) as tar:
        for name, data, attributes in members:
            info = tarfile.TarInfo(name)
            info.type = tarfile.DIRTYPE if data is None else tarfile.REGTYPE
            info.size = len(data or b"")
            for attribute, value in attributes.items():
                setattr(info, attribute, value)
            tar.addfile(info, io.BytesIO(data or b""))
    return out.getvalue()


class Recorder:
    """A sink that keeps everything; reads the content of regular files only."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.contents: dict[bytes, bytes] = {}
        self.finished = False

    def add(self, entry: Entry, payload: Iterator[memoryview]) -> None:
        assert not self.finished
        self.entries.append(entry)
        if entry.type == b"0":
            self.contents[entry.name] = b"".join(payload)

    def finish(self) -> None:
        self.finished = True
