"""Listing and status say what the Go tool says, byte for byte; differences are named here."""

import json
import os
import sys
from pathlib import Path

import pytest

from tests.support import process
from tests.support.gotools import GoTools

pytestmark = [pytest.mark.root, pytest.mark.gotools]

PROJECT = os.fspath(Path(__file__).parents[2])


def ours(go: GoTools, *words: str, check: bool = True) -> str:
    """Standard output of our command on the same store."""
    store = go.command("containers-storage")[1:]
    command = [sys.executable, "-m", "fusefs.cli", *store, *words]
    done = process.run(command, check=check, environment={"PYTHONPATH": PROJECT})
    return os.fsdecode(done.stdout)


def created(go: GoTools, *words: str) -> str:
    return go.storage(*words).split()[0]


@pytest.fixture(
    params=[pytest.param("overlay", marks=pytest.mark.overlay), "vfs"],
)
def go(request: pytest.FixtureRequest) -> GoTools:
    """A store with every kind of relation that a listing shows."""
    name = "go" if request.param == "overlay" else "go_vfs"
    tool: GoTools = request.getfixturevalue(name)
    base = created(tool, "create-layer", "--name", "base", "--name", "b<&>\u2028ü")
    top = created(tool, "create-layer", "--id", "f" * 64, base)
    created(tool, "create-layer", base)
    image = created(
        tool,
        "create-image",
        "-n",
        "localhost/a:1",
        "-n",
        "localhost/a:2",
        "-m",
        '{"a":"\\u0001"}',
        top,
    )
    tool.storage("set-image-data", image, "manifest", stdin=b"{}")
    tool.storage("set-image-data", image, "manifest-2", stdin=b"[]")
    tool.storage("set-image-data", image, "other key", stdin=b"x")
    created(tool, "create-image", top)
    created(tool, "create-image")
    container = created(tool, "create-container", "-n", "web", "-m", "text", image)
    tool.storage("set-container-data", container, "state", stdin=b"x")
    created(tool, "create-container", "")
    tool.storage("mount", "web")
    return tool


@pytest.mark.parametrize(
    "words",
    [
        "layers", "layers --tree", "layers --json", "layers -tj", "images", "images -q",
        "images --json", "images -qj", "containers", "containers --json", "mounted web",
        "status --json",
    ],
)  # fmt: skip
def test_standard_output_is_that_of_the_go_tool(go: GoTools, words: str) -> None:
    assert ours(go, *words.split()) == go.storage(*words.split())


def test_what_is_not_mounted_is_passed_over_and_what_is_unknown_fails(go: GoTools) -> None:
    words = ("mounted", "base", "nosuch", "web")

    assert ours(go, *words, check=False) == go.storage(*words, check=False) == "web mounted\n"


def test_mounted_json_has_one_key_more_and_no_text_in_front(go: GoTools) -> None:
    theirs = go.storage("mounted", "-j", "web", "nosuch", check=False).splitlines()
    found = json.loads(ours(go, "mounted", "-j", "web", "nosuch", check=False))

    assert theirs[0] == "web mounted"
    assert [entry.pop("mounted") for entry in found] == [True, False]
    assert found == json.loads(theirs[1])


def test_status_as_text_is_the_same_on_standard_output(go: GoTools) -> None:
    theirs = os.fsdecode(go.run("containers-storage", "status").stderr)

    assert ours(go, "status") == theirs


def test_an_empty_store_is_listed_alike(go_vfs: GoTools) -> None:
    go_vfs.storage("layers")
    for words in ("layers", "layers -t", "images -j", "images", "containers -j"):
        assert ours(go_vfs, *words.split()) == go_vfs.storage(*words.split())
