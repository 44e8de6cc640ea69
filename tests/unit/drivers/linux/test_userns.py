"""A user namespace for a map of IDs, also in a process with many open files."""

import os
import resource
from collections.abc import Iterator

import pytest

from drivers.idmap.maps import IDMap
from drivers.linux import userns

pytestmark = pytest.mark.root


@pytest.fixture
def many_open() -> Iterator[None]:
    """More descriptors than select(2) can take."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(4096, hard), hard))
    taken = [os.open(os.devnull, os.O_RDONLY) for _ in range(1100)]
    yield
    for fd in taken:
        os.close(fd)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.usefixtures("many_open")
def test_a_process_with_many_open_files_gets_one() -> None:
    os.close(userns.with_maps((IDMap(0, 100_000, 10),), (IDMap(0, 100_000, 10),)))
