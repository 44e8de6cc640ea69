"""The index of an archive: its entries with the offsets of their content."""

import io
import os
from pathlib import Path

import pytest

from drivers.archive import scanner
from drivers.errors import ArchiveError
from tests.support.tars import END, extended, file, header, record


def test_an_index_has_the_offset_of_each_content(tmp_path: Path) -> None:
    big = os.urandom(300_000)
    data = (
        extended(record(b"path", b"big")) + file(b"x", big) + file(b"y") + file(b"z", b"zz") + END
    )
    path = tmp_path / "archive.tar"
    path.write_bytes(data)
    with path.open("rb") as archive:
        found = list(scanner.index(archive.fileno()))
        assert [(entry.name, entry.size) for entry, _ in found] == [
            (b"big", len(big)),
            (b"y", 0),
            (b"z", 2),
        ]
        for entry, offset in found:
            content = os.pread(archive.fileno(), entry.size, offset)
            assert content == {b"big": big, b"y": b"", b"z": b"zz"}[entry.name]


def test_an_index_skips_what_it_need_not_read(tmp_path: Path) -> None:
    path = tmp_path / "huge.tar"
    with path.open("wb") as archive:
        archive.write(header(name=b"huge", size=b"\x80" + (1 << 40).to_bytes(11, "big")))
        archive.seek(1 << 40, io.SEEK_CUR)
        archive.write(file(b"behind", b"x") + END)
    with path.open("rb") as archive:
        names = [entry.name for entry, _ in scanner.index(archive.fileno())]
    assert names == [b"huge", b"behind"]


def test_an_index_of_a_cut_archive_is_an_unexpected_end(tmp_path: Path) -> None:
    path = tmp_path / "cut.tar"
    path.write_bytes(file(b"f", b"x" * 100_000)[:50_000])
    with path.open("rb") as archive, pytest.raises(ArchiveError, match="unexpected EOF"):
        list(scanner.index(archive.fileno()))
