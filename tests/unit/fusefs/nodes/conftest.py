"""A real store on disk, the tree over it, and a walker that resolves paths without FUSE."""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from backend import Image, Store, StoreOptions, open_store
from fusefs.nodes.base import (
    Attributes,
    Caller,
    Directory,
    File,
    Link,
    Node,
    RenameMode,
    missing,
    node_ino,
)
from fusefs.nodes.context import TreeContext
from fusefs.nodes.guard import ObjectKey
from fusefs.nodes.root import build_tree
from fusefs.nodes.text import Look, SyntheticDirectory

CALLER = Caller(uid=0, gid=0, pid=os.getpid())


class Empty(SyntheticDirectory):
    """Content is another part's business: here it is an empty directory."""

    def child(self, name: bytes) -> Node:
        raise missing(name)

    def names(self) -> list[bytes]:
        return []


class EmptyContent:
    """A ContentProvider whose directories are empty; it remembers what was withdrawn."""

    def __init__(self) -> None:
        self.withdrawn: list[ObjectKey] = []

    def layer_diff(self, layer: str) -> Directory:
        return Empty(node_ino("layer", layer, "diff"), Look)

    def layer_rootfs(self, layer: str) -> Directory:
        return Empty(node_ino("layer", layer, "rootfs"), Look)

    def container_rootfs(self, container: str) -> Directory:
        return Empty(node_ino("container", container, "rootfs"), Look)

    def container_userdata(self, container: str) -> Directory:
        return Empty(node_ino("container", container, "userdata"), Look)

    def container_rundir(self, container: str) -> Directory:
        return Empty(node_ino("container", container, "rundir"), Look)

    def withdraw(self, key: ObjectKey) -> None:
        self.withdrawn.append(key)


@dataclass
class Tree:
    """What a program does through the kernel, done on nodes."""

    context: TreeContext
    content: EmptyContent
    root: Directory

    @property
    def store(self) -> Store:
        return self.context.store

    def node(self, path: str, *, follow: bool = True) -> Node:
        parts = [os.fsencode(part) for part in path.split("/") if part]
        trail: list[Directory] = [self.root]
        for depth in range(40):  # as many symlinks as the kernel follows
            if not parts:
                return trail[-1]
            name, *parts = parts
            if name == b".":
                continue
            if name == b"..":
                trail = trail[:-1] or [self.root]
                continue
            node = trail[-1].child(name)
            if isinstance(node, Link) and (parts or follow):
                assert not node.target().startswith(b"/"), f"{path}: absolute link"
                parts = [part for part in node.target().split(b"/") if part] + parts
                continue
            if not parts:
                return node
            assert isinstance(node, Directory), f"{path}: {name!r} is no directory"
            trail.append(node)
            del depth
        raise AssertionError(f"{path}: too many links")

    def directory(self, path: str) -> Directory:
        node = self.node(path)
        assert isinstance(node, Directory), path
        return node

    def names(self, path: str) -> list[str]:
        return [os.fsdecode(name) for name in self.directory(path).names()]

    def exists(self, path: str) -> bool:
        try:
            self.node(path)
        except FileNotFoundError:
            return False
        return True

    def readlink(self, path: str) -> str:
        node = self.node(path, follow=False)
        assert isinstance(node, Link), path
        return os.fsdecode(node.target())

    def stat(self, path: str) -> Attributes:
        return self.node(path, follow=False).attributes()

    def read(self, path: str) -> bytes:
        node = self.node(path)
        assert isinstance(node, File), path
        file = node.open(os.O_RDONLY, CALLER)
        try:
            return read_all(file.read)
        finally:
            file.release()

    def write(self, path: str, data: bytes, flags: int = os.O_TRUNC) -> None:
        """Like ``printf data > path``: create or truncate, write, close."""
        parent, _, name = path.rpartition("/")
        directory = self.directory(parent)
        try:
            node = directory.child(os.fsencode(name))
        except FileNotFoundError:
            _, file = directory.create(os.fsencode(name), 0o644, os.O_WRONLY, CALLER)
        else:
            assert isinstance(node, File), path
            file = node.open(os.O_WRONLY | flags, CALLER)
        try:
            file.flush()  # a shell closes the first of two descriptors
            file.write(0, data)
            file.flush()
        finally:
            file.release()

    def mkdir(self, path: str) -> Node:
        parent, _, name = path.rpartition("/")
        return self.directory(parent).make_directory(os.fsencode(name), 0o755, CALLER)

    def rmdir(self, path: str) -> None:
        parent, _, name = path.rpartition("/")
        self.directory(parent).remove_directory(os.fsencode(name), CALLER)

    def unlink(self, path: str) -> None:
        parent, _, name = path.rpartition("/")
        self.directory(parent).unlink(os.fsencode(name), CALLER)

    def symlink(self, target: str, path: str) -> Node:
        parent, _, name = path.rpartition("/")
        return self.directory(parent).make_link(os.fsencode(name), os.fsencode(target), CALLER)

    def rename(self, path: str, to: str, mode: RenameMode = RenameMode.REPLACE) -> None:
        parent, _, name = path.rpartition("/")
        to_parent, _, to_name = to.rpartition("/")
        self.directory(parent).rename(
            os.fsencode(name), self.directory(to_parent), os.fsencode(to_name), mode, CALLER
        )


def read_all(read: object) -> bytes:
    found = b""
    while piece := read(len(found), 4096):
        found += piece
    return found


def config(steps: list[dict[str, object]]) -> bytes:
    return json.dumps({"history": steps}).encode()  # noqa: TID251 - no file of the store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    options = StoreOptions(
        graph_root=str(tmp_path / "graph"), run_root=str(tmp_path / "run"), driver="vfs"
    )
    with open_store(options) as opened:
        yield opened


@pytest.fixture
def tree(store: Store) -> Tree:
    content = EmptyContent()
    context = TreeContext(store=store, content=content)
    return Tree(context, content, build_tree(context))


@pytest.fixture
def image(store: Store) -> Image:
    """Three layers, a configuration with four steps, a manifest, two names."""
    base = store.layers.create(id="aa" * 32, names=["base"])
    middle = store.layers.create(id="bb" * 32, parent=base.id)
    top = store.layers.create(id="cc" * 32, parent=middle.id)
    identifier = "1234567890ab" + "0" * 52
    steps: list[dict[str, object]] = [
        {"created_by": "ADD rootfs"},
        {"created_by": "ENV A=b", "empty_layer": True},
        {"created_by": "RUN one"},
        {"created_by": "RUN two"},
    ]
    return store.images.create(
        id=identifier,
        layer=top.id,
        names=["docker.io/library/alpine:latest", "registry.example.com:5000/a/b:v1"],
        metadata="{}",
        big_data=[
            ("manifest", b'{"schemaVersion":2}', None),
            (f"sha256:{identifier}", config(steps), None),
        ],
    )
