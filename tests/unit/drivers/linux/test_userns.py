"""A user namespace for a map of IDs, also in a process with many open files."""

import os
import resource
from collections.abc import Iterator
from pathlib import Path

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


def test_a_helper_that_never_ends_is_not_taken_for_one_that_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    helper = tmp_path / "newuidmap"
    helper.write_text("#!/bin/sh\nexec sleep 60\n")
    helper.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.setattr(userns, "_SECONDS", 0.1)
    monkeypatch.setattr(userns, "own_maps", lambda: ((IDMap(0, 0, 1), IDMap(1, 1, 1)),) * 2)
    with pytest.raises(TimeoutError, match="newuidmap"):
        userns.map_ids(os.getpid())
