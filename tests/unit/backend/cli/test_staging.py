"""A directory as the content of a layer."""

import os
from pathlib import Path

import pytest

from tests.support.commandline import run

pytestmark = pytest.mark.root


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The storage.conf of a vfs store, without anything that concerns partial images."""
    conf = tmp_path / "storage.conf"
    conf.write_text(f"""[storage]
driver = "vfs"
graphroot = "{tmp_path}/graph"
runroot = "{tmp_path}/run"
[storage.options.pull_options]
""")
    monkeypatch.setenv("CONTAINERS_STORAGE_CONF", os.fspath(conf))
    return conf


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """Something to put into a layer; its file is larger than what is read at once."""
    made = tmp_path / "content"
    (made / "etc").mkdir(parents=True)
    (made / "etc" / "big").write_bytes(os.urandom(3 << 20))
    return made


def test_it_is_refused_where_partial_images_are_disabled(settings: Path, directory: Path) -> None:
    done = run("applydiff-using-staging-dir", "new", os.fspath(directory))

    assert done.code == 1
    assert b"partial images are disabled" in done.err
    assert run("exists", "new").code == 1


def test_a_layer_is_made_and_then_filled_again(
    settings: Path, directory: Path, tmp_path: Path
) -> None:
    settings.write_text(settings.read_text() + 'enable_partial_images = "true"\n')

    assert run("applydiff-using-staging-dir", "new", os.fspath(directory)).err == b""
    (directory / "etc" / "more").touch()
    assert run("applydiff-using-staging-dir", "new", os.fspath(directory)).err == b""

    content = tmp_path / "graph" / "vfs" / "dir" / "new" / "etc"
    assert (content / "big").read_bytes() == (directory / "etc" / "big").read_bytes()
    assert {path.name for path in content.iterdir()} == {"big", "more"}
