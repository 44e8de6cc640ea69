"""Short links of overlay layers, which messages of other tools quote."""

from pathlib import Path

import pytest

from backend import StoreOptions, open_store
from fusefs.nodes.context import TreeContext
from fusefs.nodes.root import build_tree

from .conftest import EmptyContent, Tree

A = "aa" * 32


@pytest.mark.root
def test_a_short_link_leads_to_its_layer_and_back(tmp_path: Path) -> None:
    graph, run = str(tmp_path / "graph"), str(tmp_path / "run")
    with open_store(StoreOptions(graph_root=graph, run_root=run, driver="overlay")) as store:
        store.layers.create(id=A)
        content = EmptyContent()
        context = TreeContext(store=store, content=content)
        tree = Tree(context, content, build_tree(context))
        link = tree.read(f"layers/{A}/link").decode().strip()
        assert link == (tmp_path / "graph/overlay" / A / "link").read_text()
        assert tree.names("layers/by-link") == [link]
        assert tree.readlink(f"layers/by-link/{link}") == f"../{A}"
        assert tree.stat(f"layers/{A}/link").size == len(link) + 1
        for name in ("x", "..%2F..%2Fetc", "A" * 26, "%00"):
            assert not tree.exists(f"layers/by-link/{name}")


def test_a_driver_without_short_links_has_none(tree: Tree) -> None:
    tree.store.layers.create(id=A)
    assert "link" not in tree.names(f"layers/{A}")
    assert tree.names("layers/by-link") == []
    assert not tree.exists(f"layers/by-link/{'A' * 26}")
