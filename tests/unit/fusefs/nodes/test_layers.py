"""layers/ as people use it."""

import errno
import json
import os

import pytest

from backend import Image
from backend.errors import (
    DuplicateIDError,
    InvalidValueError,
    LayerHasChildrenError,
    LayerInUseError,
    LayerUnknownError,
    ReadOnlyStoreError,
)
from fusefs.nodes.guard import ObjectKey

from .conftest import CALLER, Tree

A, B, C = "aa" * 32, "bb" * 32, "cc" * 32


def test_a_layer_shows_its_record(tree: Tree, image: Image) -> None:
    record = json.loads(tree.read(f"layers/{B}/info.json"))
    assert (record["id"], record["parent"]) == (B, A)
    assert tree.read(f"layers/{B}/id") == f"{B}\n".encode()
    assert tree.read(f"layers/{A}/names") == b"base\n"
    assert tree.read(f"layers/{B}/health") == b"ok\n"
    assert tree.read(f"layers/{B}/mount-count") == b"0\n"
    assert tree.read(f"layers/{B}/digest") == b""
    assert tree.readlink(f"layers/{B}/parent") == f"../{A}"
    assert "parent" not in tree.names(f"layers/{A}")
    assert tree.stat(f"layers/{B}").mtime_ns > 0


def test_a_layer_leads_to_its_relatives(tree: Tree, image: Image) -> None:
    container = tree.store.containers.create(names=["web"], image=image.id)
    assert tree.names(f"layers/{A}/children") == [B]
    assert tree.names(f"layers/{A}/images") == [image.id]
    assert tree.names(f"layers/{container.layer}/containers") == ["web"]
    web = tree.stat("containers/web").ino
    assert tree.node(f"layers/{container.layer}/containers/web").ino == web
    assert tree.node(f"layers/{A}/images/{image.id}").ino == tree.node(f"images/{image.id}").ino


@pytest.mark.parametrize("name", ["base", "aaaa", "aa" * 31, f"%61{A[1:]}", "%62ase"])
def test_other_names_of_a_layer_are_looked_up_and_not_listed(
    tree: Tree, image: Image, name: str
) -> None:
    assert tree.readlink(f"layers/{name}") == A
    assert name not in tree.names("layers")
    assert tree.node(f"layers/{name}", follow=False).entry_timeout == 0


def test_what_several_ids_begin_with_is_unknown_and_says_so(tree: Tree) -> None:
    tree.store.layers.create(id="abcd" + "0" * 60)
    tree.store.layers.create(id="abcd" + "1" * 60)
    with pytest.raises(LayerUnknownError) as refusal:
        tree.node("layers/abcd")
    assert refusal.value.ambiguous
    assert tree.readlink("layers/abcd0") == "abcd" + "0" * 60
    assert not tree.exists("layers/abc")  # too short to be taken for an ID


def test_layers_are_found_by_name_and_digest(tree: Tree, image: Image) -> None:
    assert tree.names("layers/by-name") == ["base"]
    assert tree.readlink("layers/by-name/base") == f"../{A}"
    assert tree.names("layers")[:3] == ["by-link", "by-digest", "by-name"]
    assert tree.names("layers")[3:] == [A, B, C]


def test_mkdir_in_children_makes_a_layer_on_this_one(tree: Tree, image: Image) -> None:
    made = tree.mkdir(f"layers/{A}/children/{'dd' * 32}")
    assert made.entry_timeout == made.attr_timeout == 0
    assert list(made.names()) == []
    tree.mkdir(f"layers/{A}/children/side")
    side = tree.store.cached().layers.by_name["side"]
    assert side.parent == A
    assert sorted(tree.names(f"layers/{A}/children")) == sorted([B, "dd" * 32, side.id])
    assert tree.node(f"layers/{A}/children/side").ino == tree.node(f"layers/{side.id}").ino


def test_mkdir_of_a_taken_id_is_refused(tree: Tree, image: Image) -> None:
    with pytest.raises(DuplicateIDError):
        tree.mkdir(f"layers/{A}/children/{C}")


def test_mkdir_in_images_makes_an_image_with_this_top_layer(tree: Tree, image: Image) -> None:
    tree.mkdir(f"layers/{B}/images/localhost%2Fcut:1")
    cut = tree.store.cached().images.by_name["localhost/cut:1"]
    assert cut.layer == B
    assert tree.readlink("images/localhost/cut:1") == f"../by-id/{cut.id}"
    assert (
        tree.node(f"layers/{B}/images/localhost%2Fcut:1").ino == tree.node(f"images/{cut.id}").ino
    )


def test_rmdir_deletes_a_layer_that_nobody_needs(tree: Tree, image: Image) -> None:
    with pytest.raises(LayerHasChildrenError):
        tree.rmdir(f"layers/{A}")
    with pytest.raises(LayerInUseError):
        tree.rmdir(f"layers/{C}")
    tree.mkdir(f"layers/{A}/children/{'dd' * 32}")
    gone = tree.directory(f"layers/{'dd' * 32}")
    tree.rmdir(f"layers/{'dd' * 32}")
    assert ObjectKey("layer", "dd" * 32) in tree.content.withdrawn
    assert "dd" * 32 not in tree.names("layers")
    for call in (gone.attributes, gone.names, lambda: gone.child(b"id")):
        with pytest.raises(OSError, match="deleted") as refusal:
            call()
        assert refusal.value.errno == errno.ESTALE


def test_rm_r_of_a_layer_is_refused_and_its_rmdir_held_back(tree: Tree, image: Image) -> None:
    tree.mkdir(f"layers/{A}/children/{'dd' * 32}")
    with pytest.raises(PermissionError):
        tree.unlink(f"layers/{'dd' * 32}/info.json")
    with pytest.raises(PermissionError):
        tree.rmdir(f"layers/{'dd' * 32}")
    assert "dd" * 32 in tree.names("layers")


def test_names_and_metadata_are_replaced(tree: Tree, image: Image) -> None:
    tree.write(f"layers/{A}/names", b"one\n\nodd%0Aname\nones\n")
    assert tree.store.cached().layers.by_id[A].names == ("one", "odd\nname", "ones")
    assert tree.read(f"layers/{A}/names") == b"one\nodd%0Aname\nones\n"
    tree.write(f"layers/{A}/metadata", b'{"a": 1}')
    assert tree.read(f"layers/{A}/metadata") == b'{"a": 1}'
    assert "odd%0Aname" in tree.names("layers/by-name")


def test_data_items_are_files(tree: Tree, image: Image) -> None:
    tree.write(f"layers/{A}/bigdata/a%2Fb:c", b"one")
    assert tree.names(f"layers/{A}/bigdata") == ["a%2Fb:c"]
    assert tree.store.layers.big_data(A, "a/b:c") == b"one"
    tree.write(f"layers/{A}/bigdata/a%2Fb:c", b"replaced")
    assert tree.read(f"layers/{A}/bigdata/a%2Fb:c") == b"replaced"
    assert tree.stat(f"layers/{A}/bigdata/a%2Fb:c").size == 8
    tree.unlink(f"layers/{A}/bigdata/a%2Fb:c")
    assert tree.names(f"layers/{A}/bigdata") == []
    with pytest.raises(FileNotFoundError):
        tree.unlink(f"layers/{A}/bigdata/a%2Fb:c")


def test_a_new_item_can_be_looked_at_before_it_is_stored(tree: Tree, image: Image) -> None:
    node, file = tree.directory(f"layers/{A}/bigdata").create(b"new", 0o644, os.O_WRONLY, CALLER)
    assert node.attributes().size == 0
    file.flush()
    file.release()
    assert tree.read(f"layers/{A}/bigdata/new") == b""


@pytest.mark.parametrize("name", [b"%00", b"%2E", b"x%2F"])
def test_a_key_that_cannot_be_stored_is_refused(tree: Tree, image: Image, name: bytes) -> None:
    with pytest.raises(InvalidValueError):
        tree.directory(f"layers/{A}/bigdata").create(name, 0o644, os.O_WRONLY, CALLER)


def test_object_directories_have_virtual_attributes(tree: Tree, image: Image) -> None:
    layer = tree.directory(f"layers/{B}")
    assert set(layer.xattr_names()) == {b"user.containers.id", b"user.containers.parent"}
    assert layer.xattr(b"user.containers.parent") == A.encode()
    for name in (
        b"user.containers.digest",
        b"user.containers.\xff",
        b"user.other",
        b"security.selinux",
        b"\xff.x",
    ):
        with pytest.raises(OSError, match="No data") as refusal:
            layer.xattr(name)
        assert refusal.value.errno == errno.ENODATA


def test_a_layer_whose_directory_is_gone_is_listed_and_says_so(tree: Tree, image: Image) -> None:
    os.rename(tree.store.driver.diff_directory(C), tree.store.options.graph_root + "/away")
    assert C in tree.names("layers")
    assert tree.read(f"layers/{C}/health").startswith(b"damaged: ")
    assert tree.read(f"images/by-id/{image.id}/health").startswith(b"damaged: ")
    assert tree.read(f"layers/{B}/health") == b"ok\n"


def test_a_read_only_store_refuses_changes(tree: Tree, image: Image) -> None:

    from backend import open_store
    from fusefs.nodes.context import TreeContext
    from fusefs.nodes.root import build_tree

    with open_store(tree.store.options._replace(read_only=True)) as store:
        context = TreeContext(store=store, content=tree.content)
        frozen = Tree(context, tree.content, build_tree(context))
        with pytest.raises(ReadOnlyStoreError):
            frozen.write(f"layers/{A}/names", b"x\n")
        assert frozen.read(f"layers/{A}/names") == b"base\n"
