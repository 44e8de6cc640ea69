"""Listing costs no more than a few bare interpreters, and loads nothing of the mount."""

import json
import os
import resource
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.support import process
from tests.support.gotools import GoTools, Roots

pytestmark = [pytest.mark.root, pytest.mark.overlay, pytest.mark.gotools]

PROJECT = os.fspath(Path(__file__).parents[2])
COMMAND = "import sys; sys.path.insert(0, {project!r}); from fusefs.cli import main; "
HEAVY = {"trio", "pyfuse3", "rich", "click", "subprocess", "socket", "logging", "pathlib"}


def listing(roots: Roots) -> list[str]:
    """``storagefs layers`` as the installed script runs it."""
    script = COMMAND.format(project=PROJECT) + "sys.exit(main())"
    return [sys.executable, "-c", script, *arguments(roots)]


def arguments(roots: Roots) -> list[str]:
    return ["--graph", str(roots.graph), "--run", str(roots.run), "-s", "overlay", "layers"]


def cpu_seconds(command: Sequence[str]) -> float:
    """User and system time of one run."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    process.run(command)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


@pytest.fixture
def small(go: GoTools) -> GoTools:
    parent = ""
    for number in range(3):
        words = ["-n", f"layer-{number}", *([parent] if parent else [])]
        parent = go.storage("create-layer", *words).split()[0]
    return go


def test_listing_takes_less_than_five_bare_interpreters(small: GoTools) -> None:
    process.run(listing(small.roots))  # writes the byte code
    commands = listing(small.roots), [sys.executable, "-c", "pass"]
    # In turns, so that a busy moment of the machine meets both; the least is what they need.
    rounds = [[cpu_seconds(command) for command in commands] for _ in range(16)]
    ours, bare = (min(times) for times in zip(*rounds, strict=True))
    assert ours < 5 * bare


def test_listing_shows_the_layers(small: GoTools) -> None:
    output = process.run(listing(small.roots)).stdout.decode()
    for layer in small.storage_json("layers", "--json"):
        assert layer["id"] in output


def test_listing_imports_nothing_of_the_mount(small: GoTools) -> None:
    script = (
        COMMAND.format(project=PROJECT)
        + "code = main(); import json;"
        + "print(); print(json.dumps([code, sorted(sys.modules)]))"
    )
    done = process.run([sys.executable, "-c", script, *arguments(small.roots)])
    code, modules = json.loads(done.stdout.splitlines()[-1])
    assert code == 0
    assert HEAVY & set(modules) == set()
