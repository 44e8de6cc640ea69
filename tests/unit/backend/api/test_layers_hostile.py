"""The corpus of hostile and odd archives through a whole store: all of a layer, or nothing."""

import io
from pathlib import Path

import pytest

from backend import Store, StoreOptions, open_store
from backend.errors import DamagedError
from drivers.archive.compression import Compression
from drivers.errors import StorageError
from drivers.protocol import Whiteouts
from tests.support import hostile, hostileaufs, treefacts
from tests.support.hostilecases import CASES
from tests.support.layertars import files_of

pytestmark = pytest.mark.root


def test_every_archive_comes_back_to_the_byte_or_leaves_nothing(
    options: StoreOptions, in_memory: Path
) -> None:
    options = options._replace(graph_root=str(in_memory / "graph"))
    with open_store(options) as store:
        check(store, in_memory / "outside")


def given_back(store: Store) -> bytes:
    """The archive of the layer that is odd."""
    with store.layers.diff("odd", compression=Compression.NONE) as stream:
        return b"".join(stream)


def check(store: Store, outside: Path) -> None:
    graph_root = store.paths.graph_root
    outside.mkdir()
    (outside / "file").write_text("untouched\n")
    around = treefacts.of(outside)
    store.layers.put(io.BytesIO(), names=["first"])
    before = files_of(graph_root)
    accepted = 0
    for case in CASES:
        store.layers.put(io.BytesIO(hostile.archive(case.lower)), names=["lower"])
        lower = files_of(graph_root)
        archive = hostile.archive(case.members, str(outside).encode())
        try:
            store.layers.put(io.BytesIO(archive), parent="lower", names=["odd"])
        except StorageError:
            assert files_of(graph_root) == lower, case.name
        else:
            if hostileaufs.has_content(case) and store.driver.whiteouts is Whiteouts.REMOVE:
                with pytest.raises(DamagedError, match="missing in the layer"):
                    given_back(store)
            else:
                assert given_back(store) == archive, case.name
            store.layers.delete("odd")
            accepted += 1
        store.layers.delete("lower")
        assert files_of(graph_root) == before, case.name
    assert treefacts.differences(treefacts.of(outside), around) == []
    assert 20 < accepted < len(CASES)
