"""A process that lives long keeps no trace of each look at records that cannot be read."""

import traceback
from collections.abc import Callable
from pathlib import Path

import pytest

from backend import Store, StoreOptions, open_store
from backend.errors import RecordFileError


@pytest.mark.parametrize(
    "verb",
    [
        lambda store: store.layers.find("unknown"),
        lambda store: store.layers.create(),
        lambda store: store.collect_garbage(),
    ],
    ids=["find", "write", "collect"],
)
@pytest.mark.parametrize("content", [b"", b"{"], ids=["empty", "damaged"])
def test_an_error_that_is_told_again_grows_no_longer(
    tmp_path: Path, verb: Callable[[Store], object], content: bytes
) -> None:
    options = StoreOptions(str(tmp_path / "graph"), str(tmp_path / "run"), driver="vfs")
    with open_store(options) as store:
        store.images.create()
    (tmp_path / "graph" / "vfs-layers" / "layers.json").write_bytes(content)
    with open_store(options) as store:
        lengths = [_length(store, verb) for _ in range(3)]
    assert lengths[0] == lengths[2]


def _length(store: Store, verb: Callable[[Store], object]) -> int:
    """How many frames the error of *verb* keeps, if there is one."""
    try:
        verb(store)
    except RecordFileError as error:
        return len(traceback.extract_tb(error.__traceback__))
    return 0
