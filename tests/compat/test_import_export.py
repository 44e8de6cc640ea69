"""Archives of images: what skopeo and podman write comes in, what we write they read."""

import io
import json
import os
import shutil
import tarfile
from pathlib import Path
from typing import Any

import pytest

from backend import Store, open_store
from backend.errors import DamagedError, InvalidValueError
from drivers.errors import ArchiveError
from tests.support import process, smallstore
from tests.support.gotools import GoTools, Roots
from tests.support.ociimage import Entry, write_layout

pytestmark = [pytest.mark.root, pytest.mark.overlay, pytest.mark.gotools]

NAME = "quay.io/me/thing:1"
LAYERS = (
    [Entry("etc"), Entry("etc/a", b"a" * 100_000), Entry("bin/x", link="/etc/a")],
    [Entry("etc/b", b"b"), Entry("etc/.wh.a", b"")],
)
FORMS = ("oci-archive", "docker-archive", "oci", "dir", "docker-archive.gz", "oci-archive.zst")


@pytest.fixture(scope="module")
def archives(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same image in every form that skopeo writes, and two of them compressed."""
    where = tmp_path_factory.mktemp("archives")
    write_layout(where / "source", LAYERS)
    for form in ("oci-archive", "docker-archive", "oci", "dir"):
        target = f"{form}:{where / form}" + ("" if form == "dir" else f":{NAME}")
        process.run(["skopeo", "copy", "-q", f"oci:{where / 'source'}", target])
    process.run(["gzip", "-k", str(where / "docker-archive")])
    process.run(["zstd", "-q", str(where / "oci-archive")])
    return where


@pytest.fixture
def store(roots: Roots) -> Any:
    """An empty store."""
    with open_store(smallstore.options(roots)) as store:
        yield store


@pytest.mark.parametrize("form", FORMS)
def test_an_archive_of_skopeo_becomes_the_image_that_skopeo_would_have_stored(
    form: str, archives: Path, store: Store, roots: Roots, tmp_path: Path
) -> None:
    (image,) = store.import_images(str(archives / form))
    go = GoTools(Roots(tmp_path / "theirs", roots.run.parent / "t"))
    plain = form.partition(".")[0]
    name = "" if plain == "dir" else f":{NAME}"
    go.skopeo("copy", "-q", f"{plain}:{archives / plain}{name}", go.image(NAME))
    (theirs,) = go.storage_json("images", "--json")
    go.shutdown()

    assert image.id == theirs["id"]
    assert image.layer == theirs["layer"]
    if plain != "docker-archive":  # its manifest is made by whoever loads it
        assert image.digest == theirs["digest"]
    assert image.names == (() if plain == "dir" else (NAME,))
    ours = GoTools(roots)
    inspected = json.loads(ours.skopeo("inspect", "--config", ours.image(f"@{image.id}")))
    assert inspected["rootfs"]["diff_ids"] == [layer.diff_digest for layer in _chain(store, image)]
    ours.shutdown()


@pytest.mark.parametrize("form", ["oci-archive", "docker-archive", "oci"])
def test_what_is_exported_skopeo_stores_as_the_same_image(
    form: str, archives: Path, store: Store, roots: Roots, tmp_path: Path
) -> None:
    (image,) = store.import_images(str(archives / "oci-archive"), names=("mine:2",))
    assert image.names == ("localhost/mine:2",)
    target = tmp_path / "exported"
    store.export_images([image.id], str(target), form=form)
    go = GoTools(Roots(tmp_path / "theirs", roots.run.parent / "t"))
    go.skopeo("copy", "-q", f"{form}:{target}:localhost/mine:2", go.image("localhost/mine:2"))
    (theirs,) = go.storage_json("images", "--json")
    layers = go.storage_json("layers", "--json")
    go.shutdown()
    assert theirs["id"] == image.id
    ours = [layer.diff_digest for layer in _chain(store, image)]
    assert [layer["diff-digest"] for layer in layers] == ours


def test_podman_load_takes_several_images_of_one_archive(
    archives: Path, store: Store, roots: Roots, tmp_path: Path
) -> None:
    write_layout(tmp_path / "second", [*LAYERS, [Entry("more", b"m")]])
    first = store.import_images(str(archives / "oci"), names=("first",))
    second = store.import_images(str(tmp_path / "second"), names=("second",))
    ids = [image.id for image in (*first, *second)]
    store.export_images(ids, str(tmp_path / "both.tar"), form="docker-archive")
    with tarfile.open(tmp_path / "both.tar") as tar:
        names = tar.getnames()
    assert len(names) == len(set(names)), "shared layers are written once"
    go = GoTools(Roots(tmp_path / "theirs", roots.run.parent / "t"))
    go.podman("load", "-q", "-i", str(tmp_path / "both.tar"))
    listed = {image["id"]: image["names"] for image in go.storage_json("images", "--json")}
    go.shutdown()
    assert listed == {
        ids[0]: ["localhost/first:latest"],
        ids[1]: ["localhost/second:latest"],
    }
    with open_store(smallstore.options(Roots(tmp_path / "again", roots.run.parent / "a"))) as again:
        assert [i.id for i in again.import_images(str(tmp_path / "both.tar"))] == ids


def test_importing_again_changes_nothing_and_names_it(archives: Path, store: Store) -> None:
    (image,) = store.import_images(str(archives / "oci-archive"))
    layers = store.snapshot().layers.records
    (again,) = store.import_images(str(archives / "dir"), names=("other",))
    assert again.id == image.id
    assert set(again.names) == {NAME, "localhost/other:latest"}
    assert store.snapshot().layers.records == layers


def _tar(path: Path, members: dict[str, bytes]) -> str:
    with tarfile.open(path, "w") as tar:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return str(path)


def _damaged(archives: Path, tmp_path: Path, form: str, change: str) -> str:
    """A copy of the layout, with one of its blobs spoiled."""
    copy = tmp_path / "damaged"
    shutil.copytree(archives / form, copy)
    manifest = json.loads((copy / "index.json").read_text())["manifests"][0]
    blob = copy / "blobs" / manifest["digest"].replace(":", "/")
    parts = json.loads(blob.read_text())
    wanted = {"manifest": manifest, "config": parts["config"], "layer": parts["layers"][1]}[change]
    spoiled = copy / "blobs" / wanted["digest"].replace(":", "/")
    data = bytearray(spoiled.read_bytes())
    data[len(data) // 2] ^= 1
    spoiled.write_bytes(bytes(data))
    return str(copy)


@pytest.mark.parametrize("change", ["manifest", "config", "layer"])
def test_a_flipped_bit_stores_nothing(
    change: str, archives: Path, store: Store, tmp_path: Path
) -> None:
    path = _damaged(archives, tmp_path, "oci", change)
    with pytest.raises(ArchiveError):
        store.import_images(path)
    assert not store.snapshot().images.records
    assert not store.snapshot().layers.records
    assert not store.driver.list_layers()


def test_what_is_no_archive_of_images_is_refused(store: Store, tmp_path: Path) -> None:
    (tmp_path / "text").write_bytes(b"hello" * 1000)
    (tmp_path / "empty").mkdir()
    endless = tmp_path / "fifo"
    endless.mkdir()
    os.mkfifo(endless / "index.json")
    huge = _tar(tmp_path / "huge", {"index.json": b" " * (5 << 20)})
    link = tmp_path / "link"
    link.mkdir()
    (link / "index.json").symlink_to("/etc/passwd")
    for bad in ("text", "empty", "fifo", "link"):
        with pytest.raises(ArchiveError):
            store.import_images(str(tmp_path / bad))
    with pytest.raises(ArchiveError, match="longer than"):
        store.import_images(huge)
    with pytest.raises(ArchiveError, match="no images"):
        store.import_images(_tar(tmp_path / "none", {"manifest.json": b"[]"}))


def test_names_are_for_one_image(archives: Path, store: Store, tmp_path: Path) -> None:
    (image,) = store.import_images(str(archives / "oci"))
    write_layout(tmp_path / "second", [[Entry("x", b"x")]])
    (second,) = store.import_images(str(tmp_path / "second"))
    store.export_images([image.id, second.id], str(tmp_path / "both"))
    with pytest.raises(InvalidValueError, match="2 images"):
        store.import_images(str(tmp_path / "both"), names=("x",))


def test_a_damaged_layer_leaves_no_archive(archives: Path, store: Store, tmp_path: Path) -> None:
    (image,) = store.import_images(str(archives / "oci"))
    base = _chain(store, image)[0]
    file = Path(store.driver.diff_directory(base.id), "etc/a")
    status = os.stat(file)
    file.write_bytes(b"b" * 100_000)
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
    target = tmp_path / "out"
    for form in ("oci-archive", "oci"):
        with pytest.raises((DamagedError, ArchiveError)):
            store.export_images([image.id], str(target), form=form)
        assert not target.exists()


def _chain(store: Store, image: Any) -> list[Any]:
    """Layers, lowest first."""
    return list(store.snapshot().layers.chain(image.layer))[::-1]
