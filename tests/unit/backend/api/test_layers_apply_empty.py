"""Archives applied to layers that are empty: read once, outside the locks, all of it or nothing."""

import io
import tarfile
from collections.abc import Callable

import pytest

from backend import LayerUnknownError, Store, StoreOptions
from drivers.errors import ArchiveError
from tests.support.layertars import BASE, TOP, Interrupted, files_of

pytestmark = pytest.mark.root


def opened(data: bytes, act: Callable[[], object]) -> io.BufferedReader:
    return io.BufferedReader(Interrupted(data, act))


def read(store: Store, reference: str) -> bytes:
    with store.layers.diff(reference) as archive:
        return b"".join(archive)


@pytest.mark.overlay
@pytest.mark.parametrize("options", ["overlay"], indirect=True)
def test_an_archive_that_cannot_be_unpacked_leaves_the_layer_as_it_was(
    store: Store, options: StoreOptions
) -> None:
    layer, files = store.layers.create(names=["one"]), files_of(options.graph_root)
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("fine"))
        link = tarfile.TarInfo("link")
        link.type, link.linkname = tarfile.LNKTYPE, "missing"
        archive.addfile(link)
    with pytest.raises(ArchiveError):
        store.layers.apply_diff("one", io.BytesIO(buffer.getvalue()))
    assert store.snapshot().layers.find("one") == layer
    assert files_of(options.graph_root) == files


def test_others_write_to_the_store_while_the_archive_is_read(store: Store) -> None:
    store.layers.create(names=["one"])
    with opened(BASE, lambda: store.layers.put(io.BytesIO(TOP), names=["other"])) as source:
        store.layers.apply_diff("one", source)
    assert read(store, "one") == BASE
    assert read(store, "other") == TOP


def test_a_layer_that_has_a_new_meaning_when_the_archive_was_read_is_left_alone(
    store: Store,
) -> None:
    first = store.layers.create(names=["one"])

    def replace() -> None:
        store.layers.delete("one")
        store.layers.create(names=["one"], id=first.id)

    with opened(BASE, replace) as source, pytest.raises(LayerUnknownError):
        store.layers.apply_diff("one", source)
    layer = store.layers.find("one")
    assert (layer.id, layer.diff_digest) == (first.id, "")
    store.layers.apply_diff("one", io.BytesIO(BASE))
    assert read(store, "one") == BASE
