"""One version: of the command, of the tree, of the package that is built."""

import re
import tomllib
from pathlib import Path

from backend.version import VERSION
from fusefs.nodes.about import version_text
from tests.support.commandline import run

PROJECT = Path(__file__).parents[4]


def test_command_tree_and_package_have_the_same_version() -> None:
    build = tomllib.loads((PROJECT / "pyproject.toml").read_text())
    source = build["tool"]["hatch"]["version"]
    built = re.search(source["pattern"], (PROJECT / source["path"]).read_text())

    assert "version" in build["project"]["dynamic"]
    assert built is not None
    assert built["version"] == VERSION
    assert run("version").text == f"Version: {VERSION}\n"
    assert version_text().startswith(f"storagefs {VERSION}\n".encode())
