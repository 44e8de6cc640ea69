"""Archives applied to layers that exist, and what a layer adds as an archive."""

import gzip
import io
import os
import tarfile
from pathlib import Path

import pytest

from backend import (
    DamagedError,
    InvalidValueError,
    LayerUnknownError,
    Store,
    StoreOptions,
)
from backend.stores.transaction import Kind
from drivers.archive.compression import Compression
from drivers.errors import ArchiveError, LayerDirectoryError, UnsupportedCompressionError
from tests.support.layertars import BASE, PACKED, TOP, files_of, unpacked
from tests.support.ociimage import Entry, layer_tar

pytestmark = pytest.mark.root


def content(store: Store, reference: str) -> dict[str, str]:
    root = store.driver.open_merged(store.layers.find(reference).id)
    try:
        return unpacked(f"/proc/self/fd/{root}/.")
    finally:
        os.close(root)


def read(store: Store, reference: str, kind: Compression | None = None) -> bytes:
    with store.layers.diff(reference, compression=kind) as archive:
        return b"".join(archive)


def hard_link_to_nothing() -> bytes:
    """An archive in good order that cannot be unpacked."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("fine"))
        link = tarfile.TarInfo("link")
        link.type, link.linkname = tarfile.LNKTYPE, "missing"
        archive.addfile(link)
    return buffer.getvalue()


def test_an_archive_is_laid_over_what_a_layer_has_and_replaces_its_digests(store: Store) -> None:
    first = store.layers.put(io.BytesIO(gzip.compress(BASE)), names=["one"])
    layer = store.layers.apply_diff("one", io.BytesIO(layer_tar([Entry("more", b"more\n")])))
    assert layer == store.snapshot().layers.find("one")
    assert layer.created == first.created
    assert layer.diff_digest == layer.compressed_diff_digest != first.diff_digest
    assert layer.compression == 0
    assert content(store, "one").items() >= {"more": "more\n", "etc/motd": "hello\n"}.items()
    assert read(store, "one") == layer_tar([Entry("more", b"more\n")])


def test_an_archive_fills_an_empty_layer(store: Store) -> None:
    store.layers.put(io.BytesIO(BASE), names=["base"])
    store.layers.create(names=["top"], parent="base")
    store.layers.apply_diff("top", io.BytesIO(TOP))
    assert "etc/motd" not in content(store, "top")
    assert content(store, "top")["usr/old/new"] == "new\n" * 999
    assert read(store, "top") == TOP


def test_a_bad_archive_changes_nothing(store: Store, options: StoreOptions) -> None:
    store.layers.put(io.BytesIO(BASE), names=["one"])
    before, files = store.snapshot().layers.find("one"), files_of(options.graph_root)
    for bad in (gzip.compress(TOP)[:-9], TOP[:-2000][:1600], b"x" * 600):
        with pytest.raises(ArchiveError):
            store.layers.apply_diff("one", io.BytesIO(bad))
    assert store.snapshot().layers.find("one") == before
    assert files_of(options.graph_root) == files
    assert read(store, "one") == BASE


def test_what_stops_half_way_leaves_no_digest_behind(store: Store) -> None:
    """The archive is whole, but the entries do not fit what is in the layer."""
    store.layers.put(io.BytesIO(BASE), names=["one"])
    with pytest.raises(ArchiveError):
        store.layers.apply_diff("one", io.BytesIO(hard_link_to_nothing()))
    layer = store.snapshot().layers.find("one")
    assert layer is not None
    assert (layer.diff_digest, layer.compressed_diff_digest, layer.diff_size) == ("", "", 0)
    assert store.layers.size("one") == -1
    assert not Path(store.paths.tar_split(layer.id)).exists()
    store.layers.apply_diff("one", io.BytesIO(BASE))
    assert read(store, "one") == BASE


@pytest.mark.overlay
def test_what_is_applied_to_a_mounted_layer_shows_there(store: Store) -> None:
    store.layers.put(io.BytesIO(BASE), names=["base"])
    store.layers.create(names=["one"], parent="base")
    where = Path(store.mounts.mount("one"))
    (where / "written").write_text("in the mount\n")
    try:
        store.layers.apply_diff("one", io.BytesIO(layer_tar([Entry("more", b"more\n")])))
        assert (where / "more").read_text() == "more\n"
        assert (where / "written").read_text() == "in the mount\n"
    finally:
        store.mounts.unmount("one")


def test_a_layer_comes_compressed_as_it_was_or_as_asked(store: Store) -> None:
    store.layers.put(io.BytesIO(gzip.compress(BASE)), names=["gzip"])
    store.layers.put(io.BytesIO(PACKED[3](BASE)), names=["xz"])
    assert gzip.decompress(read(store, "gzip")) == BASE
    assert read(store, "gzip", Compression.NONE) == BASE
    assert read(store, "xz", Compression.ZSTD)[:4] == b"\x28\xb5\x2f\xfd"
    for kind in (None, Compression.BZIP2):
        with pytest.raises(UnsupportedCompressionError):
            read(store, "xz", kind)


def test_a_layer_without_archive_is_packed_by_the_driver(store: Store) -> None:
    store.layers.put(io.BytesIO(BASE), names=["base"])
    layer = store.layers.create(names=["work"], parent="base")
    Path(store.driver.diff_directory(layer.id), "made").write_text("made\n")
    archive = read(store, "work")
    copied = store.layers.put(io.BytesIO(archive), names=["copy"], parent="base")
    assert content(store, "copy") == content(store, "work")
    assert store.layers.diff_size("work") == len("made\n")
    assert store.layers.size("work") == -1
    assert copied.diff_size == len(archive)
    with store.layers.diff("copy", "work", compression=Compression.NONE) as same:
        assert b"made" not in b"".join(same)


def test_files_that_changed_since_end_the_archive_with_an_error(store: Store) -> None:
    layer = store.layers.put(io.BytesIO(BASE), names=["base"])
    path = Path(store.driver.diff_directory(layer.id), "etc/motd")
    path.write_text("other\n")
    with pytest.raises(DamagedError, match=f"layer {layer.id[:12]}"):
        read(store, "base")
    path.unlink()
    with pytest.raises(DamagedError, match="motd"):
        read(store, "base")
    Path(store.paths.tar_split(layer.id)).write_bytes(b"")
    with pytest.raises(DamagedError, match=r"tar-split\.gz"):
        read(store, "base")


def test_what_cannot_be_a_tar_split_file_is_not_waited_for(store: Store) -> None:
    layer = store.layers.put(io.BytesIO(BASE), names=["base"])
    path = Path(store.paths.tar_split(layer.id))
    for make in (os.mkfifo, Path.mkdir, lambda path: path.symlink_to("/dev/zero")):
        path.unlink() if not path.is_dir() else path.rmdir()
        make(path)
        with pytest.raises(DamagedError, match="no regular file"):
            store.layers.diff("base")


def test_a_record_with_an_unknown_compression_says_so(store: Store) -> None:
    store.layers.put(io.BytesIO(BASE), names=["base"])
    with store._shop.writing(Kind.LAYERS) as tx:
        tx.layers.put(tx.layers.table.by_name["base"]._replace(compression=77))
        tx.layers.save()
    with pytest.raises(InvalidValueError, match="compression '77'"):
        store.layers.diff("base")
    assert read(store, "base", Compression.NONE) == BASE


def test_nothing_is_put_on_a_half_made_layer_nor_read_from_it(store: Store) -> None:
    store.layers.put(io.BytesIO(BASE), names=["base"])
    store.layers.create(names=["child"], parent="base")
    with store._shop.writing(Kind.LAYERS) as tx:
        tx.layers.put(tx.layers.table.by_name["base"]._replace(flags={"incomplete": True}))
        tx.layers.save()
    with pytest.raises(DamagedError, match="it is half made"):
        store.layers.put(io.BytesIO(TOP), parent="base")
    with pytest.raises(DamagedError, match="it is half made"):
        store.layers.create(parent="base")
    with pytest.raises(DamagedError, match="it is half made"):
        store.layers.diff("base")
    with pytest.raises(LayerUnknownError):
        store.layers.by_uncompressed_digest(store.layers.find("base").diff_digest)


def test_a_layer_that_goes_while_it_is_read_ends_with_an_error(store: Store) -> None:
    layer = store.layers.create(names=["work"])
    Path(store.driver.diff_directory(layer.id), "big").write_bytes(os.urandom(4 << 20))
    with store.layers.diff("work") as archive:
        next(archive)
        store.layers.delete("work")
        with pytest.raises((LayerUnknownError, OSError)):
            b"".join(archive)


def test_layers_are_found_by_each_of_their_digests(store: Store) -> None:
    one = store.layers.put(io.BytesIO(gzip.compress(BASE, mtime=0)), names=["one"])
    two = store.layers.put(io.BytesIO(BASE), names=["two"])
    assert store.layers.by_uncompressed_digest(one.diff_digest) == [one, two]
    assert store.layers.by_compressed_digest(one.compressed_diff_digest) == [one]
    assert store.layers.by_compressed_digest(two.compressed_diff_digest) == [two]
    with pytest.raises(LayerUnknownError):
        store.layers.by_toc_digest(one.diff_digest)
    with pytest.raises(InvalidValueError):
        store.layers.by_compressed_digest("sha256:short")


def test_flags_are_replaced_but_not_the_one_that_is_the_stores_own(store: Store) -> None:
    store.layers.create(names=["one"], flags={"a": 1})
    store.layers.set_flags("one", {"b": [2]})
    assert dict(store.snapshot().layers.find("one").flags) == {"b": [2]}
    with pytest.raises(InvalidValueError):
        store.layers.set_flags("one", {"incomplete": True})


def test_the_driver_can_be_given_a_layer_of_its_own(store: Store) -> None:
    base = store.layers.create_driver_layer()
    top = store.layers.create_driver_layer(parent=base)
    assert store.layers.create_driver_layer(id=top) == top
    assert store.layers.driver_layers() == sorted([base, top])
    with pytest.raises(LayerDirectoryError):
        store.layers.create_driver_layer(parent="f" * 64)
    with pytest.raises(InvalidValueError):
        store.layers.create_driver_layer(id="../out")
    assert store.layers.driver_layers() == sorted([base, top])
    assert len(store.snapshot().layers) == 0
