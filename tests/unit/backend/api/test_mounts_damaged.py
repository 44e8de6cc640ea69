"""A count of mounts is no obstacle where what was counted is gone."""

import os

import pytest

from backend import Store
from backend.errors import MountedError
from backend.model.findings import Depth, Fault
from backend.model.records import Container
from drivers.erase import erase_tree
from tests.support import mounttable

pytestmark = pytest.mark.root


@pytest.fixture
def lost(store: Store) -> Container:
    """A container that is counted as mounted, and whose directories somebody took away."""
    made = store.containers.create(names=("web",))
    store.mounts.mount(made.id)
    with pytest.raises(MountedError):
        store.containers.delete(made.id)
    mounttable.unmount_below(store.paths.graph_root)
    name = "dir/" if store.driver.name == "vfs" else ""
    erase_tree(os.path.join(store.driver.home, f"{name}{made.layer}"))
    return made


def test_a_check_tells_of_both(store: Store, lost: Container) -> None:
    faults = {finding.fault for finding in store.check(Depth.RECORDS).findings}

    assert faults == {Fault.LAYER_DIRECTORY, Fault.MOUNT_COUNT}
    assert store.mounts.count(lost.id) == 0


def test_the_container_can_be_deleted(store: Store, lost: Container) -> None:
    store.containers.delete(lost.id)

    assert store.check(Depth.RECORDS).findings == ()
    assert store.snapshot().mounts == {}
