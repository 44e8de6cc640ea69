"""What is left when a verb on an image or a container is cut off by a kill."""

import os
import subprocess
import sys
from itertools import count
from pathlib import Path

import pytest

from backend import Store, open_store
from drivers.erase import erase_tree
from tests.support import mounttable
from tests.support.objecthistory import ITEMS, MAP, options

pytestmark = pytest.mark.root

STRIDE = 12


def whole(store: Store) -> None:
    """What the records say is there, and belongs to whom it should.

    A container without its layer is what half a deletion leaves: it is deleted again.
    """
    for problem in store.snapshot().problems:
        assert problem.kind == "container"
        store.containers.delete(problem.id)
    snapshot = store.snapshot()
    assert snapshot.problems == ()
    for image in snapshot.images:
        assert image.layer is None or image.layer in snapshot.layers
        for copy in image.mapped_layers:
            assert copy in snapshot.layers
            assert os.stat(f"{store.driver.diff_directory(copy)}/file").st_uid == 1000
        for key, data, _ in ITEMS:
            assert store.images.big_data(image.id, key) == data
    for layer in snapshot.layers:
        assert not layer.incomplete
        assert os.path.isdir(store.driver.diff_directory(layer.id))
    for container in snapshot.containers:
        assert store.containers.big_data(container.id, "d") == b"1"


@pytest.mark.slow
def test_a_kill_at_any_change_of_a_directory_leaves_whole_images_and_containers(
    tmp_path: Path,
) -> None:
    driver = "vfs"  # makes mapped copies, and no mounts that would have to be taken away
    for stop in count(0, STRIDE):
        base = tmp_path / str(stop)
        words = ["-m", "tests.support.objecthistory", str(base), driver, str(stop)]
        code = subprocess.run([sys.executable, *words], timeout=30, check=False).returncode
        assert code in (0, 9)
        with open_store(options(base, driver)) as store:
            whole(store)
            store.images.create(names=["after"], big_data=ITEMS)
            image = "i" if store.snapshot().images.find("i") else None
            store.containers.create(
                names=["after"], image=image, uid_map=MAP, gid_map=MAP, big_data=[("d", b"1")]
            )
            whole(store)
        assert not (base / "graph" / f"{driver}-layers" / "tmp").exists()
        mounttable.unmount_below(base)
        erase_tree(str(base))
        if code == 0:
            assert stop > 50
            return
