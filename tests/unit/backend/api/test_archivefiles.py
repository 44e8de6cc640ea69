"""The files of an image archive: what is wrong with one is said, and nothing stays open."""

import gzip
import io
import os
import tarfile
from pathlib import Path

import pytest

from backend.api.archivefiles import open_files
from drivers.errors import ArchiveError


def tar_of(name: str) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as tar:
        tar.addfile(tarfile.TarInfo(name))
    return made.getvalue()


def descriptors() -> set[str]:
    """Every open file of this process, but for the directory that is being listed."""
    return {
        f"{number} {os.readlink(f'/proc/self/fd/{number}')}"
        for number in os.listdir("/proc/self/fd")
        if os.path.exists(f"/proc/self/fd/{number}")
    }


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (gzip.compress(os.urandom(5000))[:3000], "the gzip data ends too early"),
        (gzip.compress(b"no tar at all" * 100), "invalid tar header"),
        (b"no tar at all" * 100, "invalid tar header"),
    ],
    ids=["cut compressed", "compressed", "plain"],
)
def test_an_archive_that_is_none_says_so_and_is_closed_once(
    tmp_path: Path, content: bytes, reason: str
) -> None:
    (tmp_path / "archive").write_bytes(content)
    before = descriptors()

    with pytest.raises(ArchiveError, match=reason):
        open_files(str(tmp_path / "archive"), spool=str(tmp_path))

    assert descriptors() == before


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "compressed"])
def test_what_is_read_of_an_archive_is_closed_with_it(tmp_path: Path, pack: type[bytes]) -> None:
    (tmp_path / "archive").write_bytes(pack(tar_of("index.json")))
    before = descriptors()

    with open_files(str(tmp_path / "archive"), spool=str(tmp_path)) as files:
        assert files.has("index.json")
        assert not files.has("manifest.json")

    assert descriptors() == before


def test_a_file_of_a_directory_that_cannot_be_looked_at_is_not_taken_for_missing(
    tmp_path: Path,
) -> None:
    (tmp_path / "index.json").symlink_to("index.json")

    with (
        open_files(str(tmp_path), spool=str(tmp_path)) as files,
        pytest.raises(OSError, match="symbolic links"),
    ):
        files.has("index.json")
