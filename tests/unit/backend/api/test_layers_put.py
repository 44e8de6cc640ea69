"""Layers that arrive as archives: all of the layer or nothing, and the archive back to the byte."""

import gzip
import hashlib
import io
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from backend import (
    DuplicateIDError,
    DuplicateNameError,
    InvalidValueError,
    LayerUnknownError,
    ParentIsContainerError,
    Store,
    StoreOptions,
    open_store,
)
from drivers.archive.compression import Compression
from drivers.errors import ArchiveError
from drivers.protocol import NewLayer, StagedLayer
from tests.support import layertars
from tests.support.layertars import BASE, PACKED, TOP, Interrupted, files_of, unpacked
from tests.support.ociimage import Entry, layer_tar

pytestmark = pytest.mark.root


def sha256(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def plain(store: Store, reference: str) -> bytes:
    with store.layers.diff(reference, compression=Compression.NONE) as archive:
        return b"".join(archive)


@pytest.mark.parametrize("kind", PACKED)
def test_a_layer_is_recorded_with_both_digests_and_comes_back_to_the_byte(
    store: Store, kind: int
) -> None:
    packed = PACKED[kind](BASE)
    layer = store.layers.put(io.BytesIO(packed), names=["base"], metadata="m")
    assert layer == store.snapshot().layers.find("base")
    assert (layer.compressed_diff_digest, layer.compressed_size) == (sha256(packed), len(packed))
    assert (layer.diff_digest, layer.diff_size) == (sha256(BASE), len(BASE))
    assert (layer.compression, layer.uidset, layer.gidset) == (kind, (0,), (0,))
    assert (layer.metadata, dict(layer.flags)) == ("m", {})
    assert plain(store, "base") == BASE
    assert store.layers.size("base") == len(BASE)


def test_a_layer_lies_on_its_parent(store: Store) -> None:
    store.layers.put(io.BytesIO(BASE), names=["base"])
    store.layers.put(io.BytesIO(gzip.compress(TOP)), names=["top"], parent="base")
    root = store.driver.open_merged(store.layers.find("top").id)
    try:
        merged = unpacked(f"/proc/self/fd/{root}/.")
    finally:
        os.close(root)
    assert merged == {
        "etc": "directory",
        "etc/passwd": "root:x:0:0::/:/bin/sh\n",
        "usr": "directory",
        "usr/old": "directory",
        "usr/old/new": "new\n" * 999,
        "link": "-> etc/motd",
        "empty": "",
    }
    assert plain(store, "top") == TOP
    assert plain(store, "base") == BASE


def test_an_empty_stream_is_an_empty_layer(store: Store) -> None:
    layer = store.layers.put(io.BytesIO(), names=["nothing"])
    assert (layer.diff_digest, layer.diff_size) == (sha256(b""), 0)
    assert plain(store, "nothing") == b""


def test_items_flags_and_names_come_with_the_layer(store: Store) -> None:
    layer = store.layers.put(
        io.BytesIO(BASE),
        id="f" * 64,
        names=["a", "b", "a"],
        big_data=[("k", b"v")],
        flags={"mine": "yes"},
    )
    assert (layer.id, layer.names) == ("f" * 64, ("a", "b"))
    assert dict(store.layers.find("a").flags) == {"mine": "yes"}
    assert store.layers.big_data("b", "k") == b"v"


DAMAGED = {
    "cut short in an entry": BASE[:1027],
    "cut short in the compression": gzip.compress(BASE)[:-20],
    "no archive at all": b"it is no archive" * 100,
    "the same path twice": layer_tar([Entry("a", b"1"), Entry("a", b"2")]),
    "garbage behind a good start": gzip.compress(BASE)[:60] + bytes(100),
}


@pytest.mark.parametrize("archive", DAMAGED.values(), ids=DAMAGED.keys())
def test_a_bad_archive_leaves_nothing(store: Store, options: StoreOptions, archive: bytes) -> None:
    store.layers.put(io.BytesIO(BASE), names=["base"])
    before = files_of(options.graph_root)
    with pytest.raises(ArchiveError):
        store.layers.put(io.BytesIO(archive), parent="base", names=["bad"])
    assert files_of(options.graph_root) == before
    assert [layer.names for layer in store.snapshot().layers] == [("base",)]


def test_an_archive_that_is_not_the_expected_one_leaves_nothing(
    store: Store, options: StoreOptions
) -> None:
    store.layers.put(io.BytesIO(BASE), names=["base"])
    before = files_of(options.graph_root)
    other = sha256(b"other")
    for wrong in ({"expected_digest": other}, {"expected_diff_digest": other}):
        with pytest.raises(ArchiveError, match=f"{sha256(TOP)}, not {other}"):
            store.layers.put(io.BytesIO(TOP), parent="base", **wrong)
    with pytest.raises(InvalidValueError, match="sha256"):
        store.layers.put(io.BytesIO(TOP), expected_digest="sha512:" + "0" * 128)
    assert files_of(options.graph_root) == before
    packed = gzip.compress(TOP)
    layer = store.layers.put(
        io.BytesIO(packed), expected_digest=sha256(packed), expected_diff_digest=sha256(TOP)
    )
    assert layer.diff_digest == sha256(TOP)


def test_digests_that_the_caller_knows_are_believed(store: Store) -> None:
    known = sha256(b"known")
    layer = store.layers.put(
        io.BytesIO(gzip.compress(BASE)),
        original_digest=known,
        original_size=7,
        uncompressed_digest=sha256(b"too"),
    )
    assert (layer.compressed_diff_digest, layer.compressed_size) == (known, 7)
    assert (layer.diff_digest, layer.diff_size) == (sha256(b"too"), len(BASE))


def test_nothing_is_read_for_a_layer_that_cannot_be(store: Store) -> None:
    def unread() -> io.BufferedReader:
        def fail() -> None:
            raise AssertionError("it was read")

        return io.BufferedReader(Interrupted(b"", fail), 1)

    store.layers.put(io.BytesIO(BASE), id="a" * 64, names=["taken"])
    with pytest.raises(DuplicateIDError):
        store.layers.put(unread(), id="a" * 64)
    with pytest.raises(DuplicateNameError):
        store.layers.put(unread(), names=["taken"])
    with pytest.raises(LayerUnknownError):
        store.layers.put(unread(), parent="missing")
    with pytest.raises(InvalidValueError):
        store.layers.put(unread(), id="../out")
    with pytest.raises(InvalidValueError):
        store.layers.put(unread(), flags={"incomplete": True})
    store.images.create(id="b" * 64, layer="taken")
    container = store.containers.create(image="b" * 64)
    with pytest.raises(ParentIsContainerError):
        store.layers.put(unread(), parent=container.layer)


def meanwhile(options: StoreOptions, act: Callable[[Store], object]) -> io.BufferedReader:
    """An archive, in whose middle somebody else does something to the store."""

    def other() -> None:
        with open_store(options._replace(lock_timeout=1)) as peer:
            act(peer)

    return io.BufferedReader(Interrupted(TOP, other), 512)


def test_others_go_on_while_an_archive_is_read(store: Store, options: StoreOptions) -> None:
    store.layers.put(io.BytesIO(BASE), names=["base"])
    source = meanwhile(options, lambda peer: peer.layers.create(names=["peer"]))
    store.layers.put(source, parent="base", names=["slow"])
    assert [layer.names[0] for layer in store.snapshot().layers] == ["base", "peer", "slow"]
    assert plain(store, "slow") == TOP


@pytest.mark.parametrize("options", ["vfs"], indirect=True)
def test_others_go_on_while_a_driver_copies_the_parent(
    store: Store, options: StoreOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.layers.put(io.BytesIO(BASE), names=["base"])
    stage = store.driver.stage

    def slow(new: NewLayer) -> StagedLayer:
        with open_store(options._replace(lock_timeout=1)) as peer:
            peer.layers.create(names=["peer"])
        return stage(new)

    monkeypatch.setattr(store.driver, "stage", slow)
    layer = store.layers.create(names=["copy"], parent="base")
    assert [layer.names[0] for layer in store.snapshot().layers] == ["base", "peer", "copy"]
    assert unpacked(store.driver.diff_directory(layer.id))["etc/motd"] == "hello\n"


def test_the_first_of_two_makers_of_one_layer_wins(store: Store, options: StoreOptions) -> None:
    store.layers.put(io.BytesIO(BASE), names=["base"])
    source = meanwhile(options, lambda peer: peer.layers.put(io.BytesIO(BASE), id="c" * 64))
    with pytest.raises(DuplicateIDError):
        store.layers.put(source, parent="base", id="c" * 64)
    assert plain(store, "c" * 64) == BASE
    assert not Path(options.graph_root, f"{options.driver}-layers", "tmp").exists()
    assert not Path(options.graph_root, options.driver, "tempdirs").exists()


@pytest.mark.parametrize("again", [False, True])
def test_a_parent_that_goes_meanwhile_stops_it(
    store: Store, options: StoreOptions, again: bool
) -> None:
    store.layers.put(io.BytesIO(BASE), id="d" * 64, names=["base"])

    def replace(peer: Store) -> None:
        peer.layers.delete("base")
        if again:
            peer.layers.put(io.BytesIO(TOP), id="d" * 64, names=["base"])

    with pytest.raises(LayerUnknownError):
        store.layers.put(meanwhile(options, replace), parent="base", names=["child"])
    assert [layer.names for layer in store.snapshot().layers] == ([("base",)] if again else [])


def test_what_a_dead_process_left_of_the_same_id_is_not_taken_over(
    store: Store, options: StoreOptions
) -> None:
    identifier = store.layers.create_driver_layer(id="e" * 64)
    Path(store.driver.diff_directory(identifier), "stale").write_text("stale")
    records = Path(options.graph_root, f"{options.driver}-layers")
    records.mkdir(exist_ok=True)
    (records / f"{identifier}.tar-split.gz").write_bytes(b"stale")
    (records / identifier).mkdir()
    store.layers.create(id=identifier)
    assert unpacked(store.driver.diff_directory(identifier)) == {}
    assert not (records / f"{identifier}.tar-split.gz").exists()
    assert not (records / identifier).exists()
    assert layertars.files_of(records) == {"layers.json"}
