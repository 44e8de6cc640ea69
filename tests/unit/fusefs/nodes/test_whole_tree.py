"""The whole tree of a store with some of everything keeps its promises at each node."""

import os
import stat
from collections.abc import Iterator

import pytest

from backend import Image
from fusefs.nodes.base import Directory, File, Link, Node
from fusefs.nodes.layertar import LayerTar
from fusefs.nodes.root import build_tree
from fusefs.nodes.text import GeneratedFile

from .conftest import CALLER, Tree, read_all


def walk(node: Node, path: str = "") -> Iterator[tuple[str, Node]]:
    yield path or "/", node
    if isinstance(node, Directory):
        for name in node.names():
            yield from walk(node.child(name), f"{path}/{os.fsdecode(name)}")


@pytest.fixture
def full(tree: Tree, image: Image) -> Tree:
    """A tree with layers, images and containers of every kind that names allow."""
    store = tree.store
    store.layers.set_names("aa" * 32, ["base", "odd/name\n%", "by-name"])
    store.layers.set_big_data("aa" * 32, "a/b%c", b"item")
    store.images.create(names=["not normalised", "by-id", "localhost:5000", "a/b/c", "../x"])
    store.images.create()
    store.images.add_names(image.id, [f"localhost/x@sha256:{'e' * 64}", "localhost:5000/y:1"])
    web = store.containers.create(names=["web", "www", "by-id", ".."], image=image.id)
    store.containers.set_big_data(web.id, "resolv.conf", b"nameserver 192.0.2.1\n")
    store.containers.create(names=["...", "with/slash"], image=image.id)
    store.containers.create()
    tree.mkdir("containers/pending")
    tree.mkdir("images/quay.io")
    return tree


def test_every_symlink_resolves(full: Tree) -> None:
    links = [path for path, node in walk(full.root) if isinstance(node, Link)]
    assert len(links) > 50
    for path in links:
        full.node(path)


def test_every_file_is_as_long_as_stat_says(full: Tree) -> None:
    read = 0
    for path, node in walk(full.root):
        if isinstance(node, File):
            file = node.open(os.O_RDONLY, CALLER)
            content = read_all(file.read)
            size = node.attributes().size
            if isinstance(node, GeneratedFile | LayerTar) or path == "/events":
                assert file.direct_io, path
                assert size == 0, path
            else:
                assert size == len(content), path
            read += 1
    assert read > 100


def test_names_in_a_directory_are_unique_and_can_be_looked_up(full: Tree) -> None:
    for path, node in walk(full.root):
        if isinstance(node, Directory):
            names = list(node.names())
            assert len(names) == len(set(names)), path
            assert not any(b"/" in name or name in (b"", b".", b"..") for name in names), path


def test_inode_numbers_are_unique_and_the_same_after_a_remount(full: Tree) -> None:
    numbers = {path: node.attributes().ino for path, node in walk(full.root)}
    assert len(set(numbers.values())) == len(numbers)
    again = {path: node.attributes().ino for path, node in walk(build_tree(full.context))}
    assert again == numbers


def test_nodes_say_what_kind_they_are(full: Tree) -> None:
    for path, node in walk(full.root):
        mode = node.attributes().mode
        expected = {Directory: stat.S_IFDIR, File: stat.S_IFREG, Link: stat.S_IFLNK}
        (kind,) = [kind for base, kind in expected.items() if isinstance(node, base)]
        assert stat.S_IFMT(mode) == kind, path
        assert node.attributes().ino == node.ino, path


def test_attribute_files_are_listed_before_content(full: Tree) -> None:
    for path in (f"layers/{'cc' * 32}", "containers/web"):
        names = full.names(path)
        files = [full.stat(f"{path}/{name}").mode for name in names[:-6]]
        assert {stat.S_IFMT(mode) for mode in files} <= {stat.S_IFREG, stat.S_IFLNK, stat.S_IFDIR}
        assert set(names[-2:]) == {"diff", "rootfs"}
        assert stat.S_ISREG(files[0])


def test_only_the_mounting_user_enters_the_root(full: Tree) -> None:
    assert full.root.attributes().mode == stat.S_IFDIR | 0o700
    assert full.root.attributes().uid == os.geteuid()
