"""Debian's root file system, and layers that change it, unpacked from what the Go tools give."""

import time
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support import treefacts
from tests.support.gotools import GoTools, Roots
from tests.support.unpacking import lasting, unpack


@pytest.mark.debian_image
@pytest.mark.slow
def test_each_layer_unpacks_to_what_the_go_tools_have(debian_store: Roots, tmp_path: Path) -> None:
    go = GoTools(debian_store)
    contents = sorted((debian_store.graph / "overlay").glob("*/diff"))
    files = 0
    for content in contents:
        layer = content.parent.name
        since = time.time_ns() - 50_000_000
        root = tmp_path / layer
        root.mkdir()

        unpack(root, go.run("containers-storage", "diff", layer).stdout)

        ours, theirs = lasting(root, since), lasting(content, since)
        assert not treefacts.differences(_below(ours), _below(theirs))
        files += len(ours)
    assert len(contents) >= 5
    assert files > 5000


def _below(tree: treefacts.Tree) -> treefacts.Tree:
    """What is in the layer. The store has hard links outside; ``linked`` has those in it."""
    return {path: replace(facts, links=0) for path, facts in tree.items() if path != b"."}
