"""Images from and to archives, by the command."""

import io
import json
import os
import stat
import sys
import tarfile
from pathlib import Path

import pytest

from tests.support import ociimage
from tests.support.commandline import Storagefs
from tests.support.gotools import Roots

pytestmark = pytest.mark.root


@pytest.fixture
def storagefs(tmp_path: Path) -> Storagefs:
    return Storagefs(Roots(tmp_path / "graph", tmp_path / "run"))


@pytest.fixture
def layout(tmp_path: Path) -> str:
    """A directory with an image without a name."""
    directory = tmp_path / "layout"
    directory.mkdir()
    ociimage.write_layout(directory, [[ociimage.Entry("motd", b"hello")]])
    return str(directory)


def test_what_was_stored_is_shown_as_text_and_as_json(storagefs: Storagefs, layout: str) -> None:
    text = storagefs("import", "-n", "localhost/a:1", layout)
    again = storagefs("import", "--json", "-n", "localhost/b:1", layout)

    identifier, name = text.text.splitlines()
    assert name == "\tlocalhost/a:1"
    (image,) = json.loads(again.out)
    assert image["id"] == identifier
    assert "localhost/b:1" in image["names"]


def test_an_archive_that_fails_is_named_and_what_came_before_it_is_shown(
    storagefs: Storagefs, layout: str, tmp_path: Path
) -> None:
    bad = tmp_path / "bad.tar"
    for data in (b"no archive" * 100, b"\x1f\x8b\x08 cut off"):
        bad.write_bytes(data)
        done = storagefs("import", layout, str(bad))
        assert done.code == 1
        assert len(done.text.split()) == 1
        assert done.err.startswith(f"storagefs: {bad}: ".encode())
        assert (storagefs("import", "--json", str(bad)).out) == b""


def test_one_name_is_not_for_several_archives(storagefs: Storagefs, layout: str) -> None:
    done = storagefs("import", "-n", "localhost/a:1", layout, layout)

    assert done.code == 1
    assert b"for one archive" in done.err
    assert not storagefs.roots.graph.exists()


def test_an_archive_goes_through_a_pipe(storagefs: Storagefs, layout: str, tmp_path: Path) -> None:
    storagefs("import", "-n", "localhost/a:1", layout)
    path = tmp_path / "a.tar"
    assert storagefs("export", "localhost/a:1", str(path)).code == 0

    with tarfile.open(path) as tar:
        assert "oci-layout" in tar.getnames()
    names = ("docker-archive", "oci")
    for form in names:
        target = str(tmp_path / form)
        assert storagefs("export", "--format", form, "localhost/a:1", target).code == 0
        assert storagefs("import", target).code == 0


def test_a_terminal_gets_no_archive(
    storagefs: Storagefs, layout: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    storagefs("import", "-n", "localhost/a:1", layout)
    monkeypatch.setattr("backend.cli.command.standard_output", _terminal)

    done = storagefs("export", "localhost/a:1", "-")

    assert done.code == 1
    assert b"nothing for a terminal" in done.err
    assert done.out == b""


@pytest.mark.parametrize("target", ["device", "pipe", "directory"])
def test_only_a_file_gives_way_to_an_archive(
    storagefs: Storagefs, layout: str, tmp_path: Path, target: str
) -> None:
    storagefs("import", "-n", "localhost/a:1", layout)
    path = tmp_path / target
    if target == "directory":
        path.mkdir()
    else:
        os.mknod(path, stat.S_IFCHR if target == "device" else stat.S_IFIFO, os.makedev(1, 3))
    before = path.stat()

    done = storagefs("export", "localhost/a:1", str(path))

    assert done.code == 1
    assert b"no file" in done.err
    assert path.stat().st_ino == before.st_ino
    assert sorted(os.listdir(tmp_path)) == sorted(["graph", "layout", "run", target])


def _terminal(program: str, *, colour: bool) -> object:
    from backend.cli.output import Output

    assert isinstance(sys.stdout.buffer, io.BytesIO)
    return Output(program, sys.stdout.buffer, sys.stderr.buffer, 80, colour)


def test_an_unknown_format_is_refused_with_the_known_ones(
    storagefs: Storagefs, layout: str, tmp_path: Path
) -> None:
    storagefs("import", "-n", "localhost/a:1", layout)

    done = storagefs("export", "--format", "zip", "localhost/a:1", str(tmp_path / "a.zip"))

    assert done.code == 1
    assert b"docker-archive" in done.err
    assert not (tmp_path / "a.zip").exists()
