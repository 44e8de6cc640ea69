"""The files of the root."""

import errno
import json
import os

import pytest

from backend import Image
from fusefs.nodes.base import File

from .conftest import CALLER, Tree


def test_the_root_lists_its_files_before_its_directories(tree: Tree) -> None:
    assert tree.names("") == [
        "README",
        "version",
        "status",
        "config",
        "errors",
        "events",
        "log",
        "layers",
        "images",
        "containers",
    ]


def test_status_counts_and_says_where_everything_is(tree: Tree, image: Image) -> None:
    tree.store.containers.create(names=["web"], image=image.id)
    status = json.loads(tree.read("status"))
    assert status["graph_root"] == tree.store.options.graph_root
    assert status["driver"]["name"] == "vfs"
    assert status["counts"] == {"layers": 4, "images": 1, "containers": 1, "mounted": 0}
    assert status["health"] == {"problems": 0, "shown": []}
    assert status["native_mounts"] == []
    assert status["filesystem"]["bytes"] > 0


def test_a_record_file_that_cannot_be_read_is_named_with_what_it_breaks(
    tree: Tree, image: Image
) -> None:
    records = f"{tree.store.options.graph_root}/vfs-layers/layers.json"
    with open(records, "wb") as file:
        file.write(b"[{")
    tree.store.snapshot()
    (shown,) = json.loads(tree.read("status"))["health"]["shown"]
    assert (shown["kind"], shown["path"]) == ("store", records)
    assert records.encode() in tree.read(f"images/by-id/{image.id}/health")


def test_config_names_the_origin_of_each_value(tree: Tree) -> None:
    lines = tree.read("config").decode().splitlines()
    root = json.dumps(tree.store.options.graph_root)  # noqa: TID251 - no file of the store
    assert f"graph_root = {root}  # default" in lines
    assert "read_only = false  # default" in lines


def test_version_says_which_store_format_it_speaks(tree: Tree) -> None:
    assert tree.read("version").startswith(b"storagefs ")
    assert b"containers/storage" in tree.read("version")


def test_the_readme_names_what_is_there(tree: Tree, image: Image) -> None:
    text = tree.read("README").decode()
    for name in tree.names("")[3:]:
        assert name in text
    for listing in ("by-link", "by-digest", "by-name", "by-id", "dangling"):
        assert listing in text


def test_refusals_and_events_are_shown(tree: Tree) -> None:
    tree.context.journal.refused(
        CALLER, "rmdir", "/layers/x", errno.EBUSY, reason="in use", remedy="wait"
    )
    assert json.loads(tree.read("errors"))["errno"] == "EBUSY"
    assert tree.read("log") == tree.read("events") == b""


@pytest.mark.parametrize("name", ["README", "errors", "events", "status"])
@pytest.mark.parametrize("flags", [os.O_WRONLY, os.O_RDWR, os.O_RDONLY | os.O_TRUNC])
def test_what_is_only_shown_cannot_be_written(tree: Tree, name: str, flags: int) -> None:
    node = tree.node(name)
    assert isinstance(node, File)
    with pytest.raises(PermissionError):
        node.open(flags, CALLER)


def test_nothing_is_made_or_removed_in_the_root(tree: Tree) -> None:
    for refused in (
        lambda: tree.mkdir("new"),
        lambda: tree.unlink("README"),
        lambda: tree.rmdir("layers"),
        lambda: tree.symlink("x", "new"),
        lambda: tree.rename("README", "new"),
    ):
        with pytest.raises(PermissionError):
            refused()
    with pytest.raises(FileNotFoundError):
        tree.unlink("nothing")
