"""Lists put right what a dead process left, as the Go tool's do, and tell what they cannot."""

from pathlib import Path

import pytest

from tests.support.commandline import Storagefs
from tests.support.gotools import Roots

pytestmark = pytest.mark.root


def half_made(roots: Roots) -> Storagefs:
    """A store with one layer, which its maker never finished."""
    storagefs = Storagefs(roots)
    assert storagefs("create-layer", "-i", "half").code == 0
    records = roots.graph / "vfs-layers" / "layers.json"
    text = records.read_text()
    assert '"id"' in text
    records.write_text(text.replace('"id"', '"flags":{"incomplete":true},"id"'))
    return storagefs


def test_a_layer_that_nobody_will_finish_goes_when_layers_are_listed(tmp_path: Path) -> None:
    storagefs = half_made(Roots(tmp_path / "graph", tmp_path / "run"))

    assert storagefs("layers") == (0, b"", b"")

    assert not (tmp_path / "graph" / "vfs" / "dir" / "half").exists()


def test_one_of_an_additional_store_stays_and_is_told(tmp_path: Path) -> None:
    half_made(Roots(tmp_path / "graph", tmp_path / "run"))
    other = Storagefs(Roots(tmp_path / "other", tmp_path / "run"))
    assert other("create-layer", "-i", "own").code == 0

    done = other("--storage-opt", f"vfs.imagestore={tmp_path / 'graph'}", "layers")

    assert (done.code, done.text) == (0, "own\nhalf\n")
    assert b"layer half: " in done.err
    assert (tmp_path / "graph" / "vfs" / "dir" / "half").exists()


@pytest.mark.parametrize("driver", ["overlay", "vfs", "btrfs"])
def test_a_look_at_a_store_that_is_not_there_fails_nowhere_and_makes_none(
    tmp_path: Path, driver: str
) -> None:
    storagefs = Storagefs(Roots(tmp_path / "no/graph", tmp_path / "no/run"), driver)
    for verb in ("layers", "images", "containers", "storage-layers", "status", "check", "config"):
        assert storagefs(verb).code == 0, verb
    assert storagefs("status").text.startswith(f"Root: {tmp_path}/no/graph\n")
    assert not (tmp_path / "no").exists()
