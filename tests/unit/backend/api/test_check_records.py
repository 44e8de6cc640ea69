"""A check ends with a report, whatever is in the records and wherever it cannot look."""

import errno
import io
import os
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from backend import Store, StoreOptions, open_store
from backend.model.findings import Depth, Fault
from drivers.linux import xattr
from tests.support.tars import archive

pytestmark = pytest.mark.root


@pytest.fixture
def loaded(store: Store) -> Store:
    """A store with one object of each kind, and a data item in each."""
    layer = store.layers.put(io.BytesIO(archive(tarfile.PAX_FORMAT, ("file", b"x", {}))))
    store.images.create(names=["img"], layer=layer.id)
    container = store.containers.create(names=["web"], image="img")
    store.layers.set_big_data(layer.id, "item", b"data")
    store.images.set_big_data("img", "item", b"data")
    store.containers.set_big_data(container.id, "item", b"data")
    return store


def test_an_item_that_can_have_no_file_is_told_of(loaded: Store, options: StoreOptions) -> None:
    for records in Path(options.graph_root).glob("*-*/*s.json"):
        records.write_bytes(records.read_bytes().replace(b'"item"', b'".."'))
    with open_store(options._replace(read_only=True)) as store:
        found = store.check(Depth.RECORDS).findings

    assert {(one.kind, one.fault) for one in found} == {
        (kind, Fault.DATA_MISSING) for kind in ("layer", "image", "container")
    }
    assert all("'..'" in one.reason for one in found)


def test_an_archive_that_cannot_be_looked_for_is_not_called_lost(
    loaded: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(look: Callable[..., os.stat_result]) -> Callable[..., os.stat_result]:
        def ask(path: object, **how: Any) -> os.stat_result:
            if str(path).endswith(".tar-split.gz"):
                raise OSError(errno.EIO, os.strerror(errno.EIO), path)
            return look(path, **how)

        return ask

    monkeypatch.setattr(os, "lstat", failing(os.lstat))
    monkeypatch.setattr(os, "stat", failing(os.stat))
    assert {one.fault for one in loaded.check(Depth.FILES).findings} == {Fault.UNREADABLE}


@pytest.mark.parametrize(
    ("number", "told"),
    [
        (errno.EIO, Fault.UNREADABLE),
        (errno.EACCES, Fault.UNREADABLE),
        (errno.ENODATA, Fault.LAYER_ATTRIBUTES),
    ],
)
def test_an_attribute_that_cannot_be_read_is_not_called_lost(
    store: Store, monkeypatch: pytest.MonkeyPatch, number: int, told: Fault
) -> None:
    pax = {"SCHILY.xattr.security.capability": "\1\0\0\2" + "\0" * 16}
    store.layers.put(io.BytesIO(archive(tarfile.PAX_FORMAT, ("file", b"x", {"pax_headers": pax}))))
    assert store.check(Depth.FILES, unreferenced_age=60).findings == ()

    def failing(parent: int, name: bytes, key: bytes) -> bytes:
        raise OSError(number, os.strerror(number), name)

    monkeypatch.setattr(xattr, "get_at", failing)
    found = store.check(Depth.FILES, unreferenced_age=60).findings
    assert {one.fault for one in found} == {told}
