"""Fixtures of the tests that give the Go tool and ours the same command lines."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import mounttable, process
from tests.support.twins import Twins


@pytest.fixture(params=[pytest.param("overlay", marks=pytest.mark.overlay), "vfs"])
def twins(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Twins]:
    """Two stores without anything in them, in memory: what is durable is tested elsewhere."""
    base = tmp_path / "memory"
    base.mkdir()
    process.run(["mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", str(base)])
    yield Twins(base, request.param)
    mounttable.unmount_below(tmp_path)


@pytest.fixture
def filled(twins: Twins) -> Twins:
    """Two layers, an image and a container, with the same IDs in both stores."""
    twins.same("create-layer", "-i", "base", "-n", "bottom", "-n", "b<&>ü", "-n", "bottom")
    twins.same("create-layer", "--id=top", "--name", "upper", "bottom")
    twins.same("create-image", "-i", "picture", "-n", "localhost/a:1", "-m", '{"a":1}', "top")
    theirs, ours = twins.both("create-container", "-i=box", "-n=web", "-m=text\n", "localhost/a:1")
    assert ours.out == theirs.out + b"\n", "the Go tool forgets to end this line"
    return twins
