"""images/ as people use it."""

import errno
from pathlib import Path

import pytest

from backend import Image, StoreOptions, open_store
from backend.errors import (
    DuplicateNameError,
    ImageInUseError,
    ImageUnknownError,
    InvalidValueError,
)
from fusefs.nodes.base import RenameMode
from fusefs.nodes.context import TreeContext
from fusefs.nodes.root import build_tree

from .conftest import EmptyContent, Tree

A, B, C = "aa" * 32, "bb" * 32, "cc" * 32
ALPINE = "images/docker.io/library/alpine:latest"


def names_of(tree: Tree, image: Image) -> tuple[str, ...]:
    return tree.store.cached().images.by_id[image.id].names


def test_every_full_reference_is_a_path(tree: Tree, image: Image) -> None:
    assert tree.names("images") == [
        "by-id",
        "by-digest",
        "dangling",
        "docker.io",
        "registry.example.com:5000",
    ]
    assert tree.readlink(ALPINE) == f"../../by-id/{image.id}"
    assert tree.read(f"{ALPINE}/id") == f"{image.id}\n".encode()
    assert tree.read("images/registry.example.com:5000/a/b:v1/bigdata/manifest").startswith(b"{")


@pytest.mark.parametrize(
    "name",
    [
        "alpine",
        "alpine:latest",
        "library/alpine",
        "docker.io/alpine",
        "docker.io/library/alpine",
        "docker.io%2Flibrary%2Falpine:latest",
        "registry.example.com:5000/a%2Fb:v1",
        "12345678",
        "by-id/12345678",
        "by-id/alpine",
        "docker.io/library/%61lpine:latest",
    ],
)
def test_short_names_and_prefixes_are_looked_up(tree: Tree, image: Image, name: str) -> None:
    assert tree.read(f"images/{name}/id") == f"{image.id}\n".encode()
    assert tree.node(f"images/{name}").ino == tree.node(f"images/by-id/{image.id}").ino


def test_localhost_comes_after_docker(tree: Tree, image: Image) -> None:
    mine = tree.store.images.create(names=["localhost/alpine:latest", "localhost/mine:latest"])
    assert tree.read("images/alpine/id") == f"{image.id}\n".encode()
    assert tree.read("images/mine/id") == f"{mine.id}\n".encode()


def test_ambiguous_beginnings_are_unknown(tree: Tree, image: Image) -> None:
    tree.store.images.create(id="1234567890cd" + "0" * 52)
    with pytest.raises(ImageUnknownError) as refusal:
        tree.node("images/1234567890")
    assert refusal.value.ambiguous


def test_an_image_shows_its_documents_and_layers(tree: Tree, image: Image) -> None:
    path = f"images/by-id/{image.id}"
    assert tree.readlink(f"{path}/manifest") == "bigdata/manifest"
    assert tree.readlink(f"{path}/config") == f"bigdata/sha256:{image.id}"
    assert tree.names(f"{path}/layers") == ["00", "00.step", "01", "01.step", "02", "02.step"]
    ids = [tree.read(f"{path}/layers/{n}/id").decode().strip() for n in ("00", "01", "02")]
    assert ids == [A, B, C]
    steps = [tree.read(f"{path}/layers/{n}.step") for n in ("00", "01", "02")]
    assert steps == [b"ADD rootfs\n", b"RUN one\n", b"RUN two\n"]
    assert tree.node(f"{path}/top").ino == tree.node(f"layers/{C}").ino
    assert tree.node(f"{path}/at/01").ino == tree.node(f"layers/{B}/rootfs").ino
    assert tree.node(f"{path}/rootfs").ino == tree.node(f"layers/{C}/rootfs").ino
    assert tree.read(f"{path}/health") == b"ok\n"
    digest = image.digest.partition(":")[2]
    assert tree.readlink(f"images/by-digest/sha256/{digest}") == f"../../by-id/{image.id}"


def test_an_image_without_layers_has_no_views(tree: Tree) -> None:
    bare = tree.store.images.create(names=["bare"])
    path = f"images/by-id/{bare.id}"
    assert tree.names(f"{path}/layers") == tree.names(f"{path}/at") == []
    assert {"top", "rootfs", "manifest", "config"}.isdisjoint(tree.names(path))


def test_names_that_are_no_references_are_one_component(tree: Tree) -> None:
    odd = tree.store.images.create(names=["a/b", "by-id", "100%"])
    assert tree.names("images")[3:] == ["%62y-id", "100%25", "a%2Fb"]
    for name in ("a%2Fb", "%62y-id", "100%25"):
        assert tree.readlink(f"images/{name}") == f"by-id/{odd.id}"


def test_images_without_names_are_dangling(tree: Tree, image: Image) -> None:
    bare = tree.store.images.create()
    assert tree.names("images/dangling") == [bare.id]
    assert tree.node(f"images/dangling/{bare.id}").ino == tree.node(f"images/by-id/{bare.id}").ino


@pytest.mark.parametrize(
    "target",
    [
        "../by-id/{id}",
        "../../by-id/{id}",
        "/mnt/store/images/by-id/{id}",
        "/srv/images/mnt/images/docker.io/library/alpine:latest",
        "../docker.io/library/alpine:latest",
        "../alpine",
        "docker.io/library/alpine:latest",
        "alpine",
        "1234567890ab",
        "../../layers/../images/by-id/{id}/",
    ],
)
def test_ln_s_adds_a_name(tree: Tree, image: Image, target: str) -> None:
    tree.mkdir("images/localhost")
    link = tree.symlink(target.format(id=image.id), "images/localhost/mine:1")
    assert link.target() == f"../by-id/{image.id}".encode()
    assert names_of(tree, image)[0] == "localhost/mine:1"
    assert tree.readlink("images/localhost/mine:1") == f"../by-id/{image.id}"


@pytest.mark.parametrize("target", ["nothing", "/etc/passwd", "../by-id/" + "9" * 64, "/", ".."])
def test_ln_s_to_something_else_is_unknown(tree: Tree, image: Image, target: str) -> None:
    tree.mkdir("images/localhost")
    with pytest.raises(ImageUnknownError):
        tree.symlink(target, "images/localhost/mine:1")


def test_a_name_needs_a_tag_and_must_be_free(tree: Tree, image: Image) -> None:
    tree.mkdir("images/localhost")
    with pytest.raises(InvalidValueError, match="no full reference") as refusal:
        tree.symlink("../alpine", "images/localhost/mine")
    assert "localhost/mine:1" in refusal.value.remedy
    with pytest.raises(DuplicateNameError):
        tree.symlink("../../by-id/1234567890ab", ALPINE)


def test_rm_takes_a_name_away_and_leaves_the_image(tree: Tree, image: Image) -> None:
    tree.unlink("images/registry.example.com:5000/a/b:v1")
    assert "registry.example.com:5000" not in tree.names("images")
    tree.unlink(ALPINE)
    assert names_of(tree, image) == ()
    assert tree.names("images/dangling") == [image.id]


def test_rm_of_a_name_that_is_only_looked_up_is_refused(tree: Tree, image: Image) -> None:
    with pytest.raises(PermissionError):
        tree.unlink("images/alpine")
    with pytest.raises(FileNotFoundError):
        tree.unlink("images/nothing")
    with pytest.raises(IsADirectoryError):
        tree.unlink("images/docker.io")


def test_mv_renames_and_keeps_the_order(tree: Tree, image: Image) -> None:
    tree.mkdir("images/localhost")
    tree.rename(ALPINE, "images/localhost/al:1")
    assert names_of(tree, image) == ("localhost/al:1", "registry.example.com:5000/a/b:v1")
    other = tree.store.images.create(names=["localhost/other:1"])
    with pytest.raises(DuplicateNameError):
        tree.rename("images/localhost/al:1", "images/localhost/other:1", RenameMode.NO_REPLACE)
    tree.rename("images/localhost/al:1", "images/localhost/other:1")
    assert names_of(tree, other) == ()
    assert names_of(tree, image)[0] == "localhost/other:1"


def test_names_do_not_move_elsewhere(tree: Tree, image: Image) -> None:
    with pytest.raises(PermissionError):
        tree.rename(ALPINE, "containers/x")
    with pytest.raises(IsADirectoryError):
        tree.rename("images/docker.io", "images/quay.io")


def test_directories_of_names_are_announced_and_taken_back(tree: Tree, image: Image) -> None:
    tree.mkdir("images/quay.io")
    tree.mkdir("images/quay.io/me")
    assert "quay.io" in tree.names("images")
    assert tree.names("images/quay.io") == ["me"]
    with pytest.raises(OSError, match="names are in it") as refusal:
        tree.rmdir("images/quay.io")
    assert refusal.value.errno == errno.ENOTEMPTY
    tree.rmdir("images/quay.io/me")
    held = tree.directory("images/quay.io")
    tree.rmdir("images/quay.io")
    with pytest.raises(OSError, match="deleted"):
        held.attributes()
    with pytest.raises(OSError, match="names are in it"):
        tree.rmdir("images/docker.io")
    with pytest.raises(InvalidValueError):
        tree.mkdir("images/nodots")
    with pytest.raises(FileExistsError):
        tree.mkdir("images/docker.io")


def test_mkdir_in_containers_creates_one(tree: Tree, image: Image) -> None:
    made = tree.mkdir("images/alpine/containers/web")
    assert made.entry_timeout == 0
    web = tree.store.cached().containers.by_name["web"]
    assert web.image == image.id
    path = f"images/by-id/{image.id}/containers"
    assert tree.names(path) == ["web"]
    assert tree.readlink(f"{path}/web") == "../../../../containers/web"
    assert tree.node(f"{path}/web").ino == tree.node("containers/web").ino
    with pytest.raises(DuplicateNameError):
        tree.mkdir("images/alpine/containers/web")
    tree.store.containers.add_names(web.id, ["first"])
    assert tree.names(path) == ["first"]
    assert tree.node(f"{path}/web").ino == tree.node("containers/first").ino


def test_rmdir_deletes_the_image_and_its_layers(tree: Tree, image: Image) -> None:
    tree.mkdir("images/alpine/containers/web")
    with pytest.raises(ImageInUseError):
        tree.rmdir(f"images/by-id/{image.id}")
    tree.rmdir("containers/web")
    tree.rmdir(f"images/by-id/{image.id}")
    assert tree.names("images") == ["by-id", "by-digest", "dangling"]
    assert tree.names("layers")[3:] == []


def test_the_names_file_changes_the_tree(tree: Tree, image: Image) -> None:
    tree.write(f"{ALPINE}/names", b"localhost/one:1\nlocalhost/two:2\n")
    assert tree.names("images/localhost") == ["one:1", "two:2"]
    assert not tree.exists("images/docker.io")


def test_a_manifest_can_be_replaced(tree: Tree, image: Image) -> None:
    tree.write(f"{ALPINE}/bigdata/manifest", b'{"schemaVersion":2,"x":1}')
    assert tree.read("images/alpine/manifest") == b'{"schemaVersion":2,"x":1}'
    assert tree.stat(f"images/by-id/{image.id}/bigdata/manifest").size == 25


def test_virtual_attributes_of_an_image(tree: Tree, image: Image) -> None:
    node = tree.directory("images/alpine")
    assert node.xattr(b"user.containers.id") == image.id.encode()
    assert node.xattr(b"user.containers.digest") == image.digest.encode()


def test_an_image_of_another_store_is_renamed_in_a_record_of_our_own(tmp_path: Path) -> None:
    there = StoreOptions(
        graph_root=str(tmp_path / "there"), run_root=str(tmp_path / "run"), driver="vfs"
    )
    with open_store(there) as store:
        base = store.layers.create()
        image = store.images.create(layer=base.id, names=["localhost/a:1", "localhost/b:1"])
    before = (tmp_path / "there/vfs-images/images.json").read_bytes()
    here = there._replace(
        graph_root=str(tmp_path / "here"), driver_options=(f"vfs.imagestore={there.graph_root}",)
    )
    with open_store(here) as store:
        store.snapshot()
        context = TreeContext(store=store, content=EmptyContent())
        tree = Tree(context, EmptyContent(), build_tree(context))
        tree.rename("images/localhost/a:1", "images/localhost/c:1")
        assert tree.names("images/localhost") == ["b:1", "c:1"]
        assert tree.readlink("images/localhost/c:1") == f"../by-id/{image.id}"
    assert (tmp_path / "there/vfs-images/images.json").read_bytes() == before
