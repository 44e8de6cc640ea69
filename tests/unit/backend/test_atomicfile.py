"""Files that are replaced whole."""

import os
from pathlib import Path

import pytest

from drivers.linux import atomicfile


def test_content_and_mode_are_as_asked_whatever_the_umask(tmp_path: Path) -> None:
    path = tmp_path / "records.json"
    status = atomicfile.replace(str(path), b"new", mode=0o666)
    assert path.read_bytes() == b"new"
    assert path.stat().st_mode & 0o7777 == 0o666
    assert os.path.samestat(status, path.stat())
    assert status.st_mtime_ns == path.stat().st_mtime_ns


def test_an_open_reader_keeps_the_old_version(tmp_path: Path) -> None:
    path = tmp_path / "records.json"
    path.write_bytes(b"old")
    with path.open("rb") as reader:
        atomicfile.replace(str(path), b"new", sync=False)
        assert reader.read() == b"old"


def test_a_failure_leaves_the_old_version_and_no_litter(tmp_path: Path) -> None:
    path = tmp_path / "records.json"
    path.mkdir()
    with pytest.raises(IsADirectoryError):
        atomicfile.replace(str(path), b"new")
    assert os.listdir(tmp_path) == ["records.json"]


def test_litter_of_others_stays(tmp_path: Path) -> None:
    (tmp_path / ".tmp-records.json1").touch()
    atomicfile.replace(str(tmp_path / "records.json"), b"new")
    assert sorted(os.listdir(tmp_path)) == [".tmp-records.json1", "records.json"]


def test_who_holds_the_lock_takes_over_what_a_dead_writer_left(tmp_path: Path) -> None:
    path = tmp_path / "records.json"
    (tmp_path / ".tmp-records.json0").write_bytes(b"half")
    atomicfile.replace(str(path), b"new", locked=True)
    assert os.listdir(tmp_path) == ["records.json"]
    assert path.read_bytes() == b"new"


def test_a_directory_of_the_temporary_name_is_in_nobodys_way(tmp_path: Path) -> None:
    (tmp_path / ".tmp-records.json0").mkdir()
    atomicfile.replace(str(tmp_path / "records.json"), b"new", locked=True)
    assert (tmp_path / "records.json").read_bytes() == b"new"
