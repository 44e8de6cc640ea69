"""The POSIX suite on a plain directory, on our nodes, and on a mounted container both ways."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from fusefs.nodes.passthrough import directory_node
from tests.conformance.posix_suite import PosixSuite
from tests.support import mounttable, process, smallstore
from tests.support.gotools import Roots
from tests.support.mounted import Mounted
from tests.support.posixsubject import KernelSubject, NodeSubject


@pytest.fixture
def work(tmp_path: Path) -> Iterator[Path]:
    directory = tmp_path / "work"
    directory.mkdir()
    yield directory
    process.run(["rm", "-rf", str(directory)], timeout=60)


@pytest.mark.root
class TestPlainDirectory(PosixSuite):
    """The suite itself is right."""

    @pytest.fixture
    def subject(self, work: Path) -> KernelSubject:
        return KernelSubject(work)


@pytest.mark.root
class TestNodes(PosixSuite):
    """Our nodes over a plain directory, without the kernel."""

    @pytest.fixture
    def subject(self, work: Path) -> NodeSubject:
        return NodeSubject(directory_node(lambda: os.fspath(work), "test", work.name))


@pytest.fixture(scope="module", params=["native=off", "native=auto"])
def container(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Path]:
    base = tmp_path_factory.mktemp("posix")
    roots = Roots(base / "graph", base / "run")
    small = smallstore.make(roots)
    mounted = Mounted(roots, base / "mnt", base / "log", [request.param, "allow_other"])
    yield mounted.start().where / small.web
    mounted.close()
    mounttable.unmount_below(base)


@pytest.mark.root
@pytest.mark.overlay
@pytest.mark.fuse
class TestContainer(PosixSuite):
    """A container's root file system, by the FUSE path and by a native mount."""

    @pytest.fixture
    def subject(self, container: Path, request: pytest.FixtureRequest) -> Iterator[KernelSubject]:
        directory = container / "work"
        directory.mkdir()
        yield KernelSubject(directory)
        process.run(["rm", "-rf", str(directory)], timeout=60)
