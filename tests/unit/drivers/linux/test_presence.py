"""What is there, what is not, and what nobody can tell."""

from pathlib import Path

import pytest

from drivers.linux.presence import is_there, nearest_directory


def test_a_link_that_leads_nowhere_is_there_and_nothing_is_below_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "link").symlink_to("nowhere")
    assert is_there(str(tmp_path / "file"))
    assert is_there(str(tmp_path / "link"))
    assert not is_there(str(tmp_path / "missing"))
    assert not is_there(str(tmp_path / "file" / "below"))


def test_what_cannot_be_looked_at_is_not_missing(tmp_path: Path) -> None:
    (tmp_path / "circle").symlink_to("circle")
    with pytest.raises(OSError, match="symbolic links"):
        is_there(str(tmp_path / "circle" / "file"))


def test_the_nearest_directory_is_found_from_relative_paths_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    for path in ("", "graph/overlay", "file/overlay", f"{tmp_path}/graph"):
        assert nearest_directory(path) == str(tmp_path)
    assert nearest_directory("/nowhere/at/all") == "/"
