"""mount(8)'s helper protocol, and which store a mount means."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from backend.errors import ConfigError
from fusefs.holders import holders
from fusefs.mounthelper import HelperUsageError, translate
from fusefs.mountverb import graph_root, resolved
from fusefs.options import parse


def test_what_mount_calls_becomes_the_mount_verb() -> None:
    words = ["/var/lib/x", "/mnt", "-s", "-n", "-v", "-f", "-o", "ro,dev", "-t", "fuse.storagefs"]

    assert translate(words) == [
        "mount", "--sloppy", "--fake", "-o", "ro,dev", "--", "/var/lib/x", "/mnt",
    ]  # fmt: skip


def test_flags_may_stand_in_front_and_a_place_may_look_like_a_flag() -> None:
    assert translate(["-o", "ro", "none", "/mnt"]) == ["mount", "-o", "ro", "--", "none", "/mnt"]
    assert translate(["--", "-x", "-y"]) == ["mount", "--", "-x", "./-y"]


@pytest.mark.parametrize(
    ("words", "exit_code"),
    [(["/a"], 1), (["/a", "/b", "/c"], 1), (["/a", "/b", "-z"], 1), (["/a", "/b", "-N", "1"], 2)],
)
def test_another_call_has_the_exit_code_of_mount(words: list[str], exit_code: int) -> None:
    with pytest.raises(HelperUsageError) as raised:
        translate(words)

    assert raised.value.exit_code == exit_code


@pytest.mark.parametrize("spec", ["none", "storagefs", ""])
def test_a_source_that_names_nothing_leaves_it_to_the_options(spec: str) -> None:
    assert graph_root(spec, parse("store=/a", "/mnt")) == "/a"
    assert graph_root(spec, parse("", "/mnt")) == ""


def test_the_source_is_the_graph_root() -> None:
    assert graph_root("/a", parse("", "/mnt")) == "/a"
    assert graph_root("/a", parse("store=/a/", "/mnt")) == "/a"


def test_two_different_stores_are_refused() -> None:
    with pytest.raises(ConfigError, match="/b"):
        graph_root("/b", parse("store=/a", "/mnt"))


def test_a_place_is_made_absolute_without_symlinks(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    (tmp_path / "way").symlink_to(".")

    assert resolved(str(tmp_path / "way" / "link")) == str(tmp_path / "real")
    assert resolved(str(tmp_path / "way" / "new")) == str(tmp_path / "new")


def test_holders_of_a_directory_are_named_with_what_they_hold(tmp_path: Path) -> None:
    place = tmp_path / "place"
    place.mkdir()
    (tmp_path / "place-beside").mkdir()
    file = place / "file"
    file.write_text("x")
    script = "import sys, time; f = open(sys.argv[1]); print(flush=True); time.sleep(60)"
    sleep = [sys.executable, "-c", script]
    beside, inside, reader = (
        subprocess.Popen([*sleep, str(path)], cwd=cwd, stdout=subprocess.PIPE)
        for path, cwd in (
            (os.devnull, tmp_path / "place-beside"),
            (os.devnull, place),
            (file, tmp_path),
        )
    )
    try:
        for child in (beside, inside, reader):
            assert child.stdout is not None
            child.stdout.readline()
        found = {holder.pid: holder.what for holder in holders(str(place))}
    finally:
        for child in (beside, inside, reader):
            child.kill()
            child.communicate()

    assert found == {inside.pid: "working directory", reader.pid: f"open file {file}"}
