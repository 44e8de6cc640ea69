"""What a check and a repair do where a disk does not give what it has."""

import io
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from backend import Store, open_store
from backend.model.findings import Depth, Fault
from tests.support import process, smallstore
from tests.support.gotools import Roots
from tests.support.ociimage import Entry, layer_tar, write_layout

pytestmark = [pytest.mark.root, pytest.mark.overlay]

LAYERS = ([Entry("a", b"a")], [Entry("b", b"b")])


@pytest.fixture
def store(roots: Roots, tmp_path: Path) -> Iterator[Store]:
    """One image of two layers."""
    write_layout(tmp_path / "oci", LAYERS)
    with open_store(smallstore.options(roots)) as store:
        store.import_images(str(tmp_path / "oci"), names=("image",))
        yield store


@pytest.fixture
def unreadable() -> Iterator[Callable[[Path], None]]:
    """Let a file answer reads with EIO: over it lies this process's memory, where nothing is."""
    covered: list[Path] = []

    def cover(path: Path) -> None:
        subprocess.run(("mount", "--bind", f"/proc/{os.getpid()}/mem", path), check=True)
        covered.append(path)

    yield cover
    for path in covered:
        subprocess.run(("umount", path), check=True)


def directory(store: Store) -> Path:
    """That of the upper layer."""
    top = str(store.snapshot().images.records[0].layer)
    return Path(store.options.graph_root, "overlay", top)


@pytest.mark.parametrize("name", ["link", "lower"])
def test_a_file_that_the_disk_does_not_give_is_told_and_nothing_is_removed(
    store: Store, unreadable: Callable[[Path], None], name: str
) -> None:
    unreadable(directory(store) / name)
    report = store.check(Depth.FILES)
    assert {finding.fault for finding in report.findings} == {Fault.UNREADABLE}
    plan = store.plan_repair(report, containers=True)
    assert plan.steps == ()
    assert {finding.fault for finding in plan.left} == {Fault.UNREADABLE}
    assert all("disk" in finding.remedy for finding in plan.left)


def test_what_may_not_be_read_is_not_called_damaged(roots: Roots) -> None:
    with open_store(smallstore.options(roots)) as store:
        store.layers.put(io.BytesIO(layer_tar([Entry("secret", b"of nobody", mode=0)])))
    command = [sys.executable, "-m", "fusefs.cli", "--root", roots.graph, "--runroot", roots.run]
    command = ["setpriv", "--bounding-set=-dac_override,-dac_read_search", *command]
    done = process.run([*command, "repair", "--containers", "--apply"], timeout=30, check=False)
    said = done.stderr.decode().splitlines()
    assert (done.returncode, done.stdout, len(said)) == (1, b"", 2)
    assert all("Permission denied" in line and "who may read it" in line for line in said)
