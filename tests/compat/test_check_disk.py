"""What a check and a repair do where a disk does not give what it has."""

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from backend import Store, open_store
from backend.model.findings import Depth, Fault
from tests.support import smallstore
from tests.support.gotools import Roots
from tests.support.ociimage import Entry, write_layout

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
