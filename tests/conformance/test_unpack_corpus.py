"""The corpus of hostile and odd archives: nothing outside is touched; the Go tools agree."""

import os
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from drivers.errors import ArchiveError, StorageError, UnpackFailedError
from tests.support import hostile, mounttable, treefacts
from tests.support.gotools import GoTools, Roots
from tests.support.hostile import Case
from tests.support.hostilecases import CASES
from tests.support.unpacking import DRIVERS, Box, GoLayers, lasting, unpack

pytestmark = pytest.mark.root

every_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
comparable_case = pytest.mark.parametrize(
    "case", [case for case in CASES if not case.differs], ids=lambda case: case.name
)
SKEW = 50_000_000
"""The clock of the kernel's file times ticks; it can be a little behind."""


@pytest.mark.parametrize("whiteouts", DRIVERS)
@every_case
def test_an_archive_stays_inside_or_is_refused_with_the_entry_named(
    case: Case, whiteouts: str, tmp_path: Path
) -> None:
    box = Box(tmp_path)
    if whiteouts == "remove":
        box.unpack(case.lower, whiteouts)
    open_before = len(os.listdir("/proc/self/fd"))
    root_before = box.root.stat().st_ino
    words = case.words(whiteouts)

    if words:
        with pytest.raises(StorageError, match=words) as caught:
            box.unpack(case.members, whiteouts)
        assert isinstance(caught.value, ArchiveError | UnpackFailedError)
        assert len(str(caught.value)) < 1000
        assert not re.search("[\0-\x1f]", str(caught.value))
    else:
        box.unpack(case.members, whiteouts)

    assert box.is_intact()
    assert box.root.stat().st_ino == root_before
    assert len(os.listdir("/proc/self/fd")) == open_before


@pytest.fixture(scope="module", params=DRIVERS)
def go_layers(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, GoLayers]]:
    base, run = tmp_path_factory.mktemp("go"), tmp_path_factory.mktemp("r")
    tools = GoTools(Roots(base / "graph", run / "r"), driver=DRIVERS[request.param])
    yield request.param, GoLayers(tools, {})
    mounttable.unmount_below(base)
    mounttable.unmount_below(run)


@pytest.mark.gotools
@pytest.mark.overlay
@comparable_case
def test_the_go_tools_accept_the_same_archives_and_make_the_same_of_them(
    case: Case, go_layers: tuple[str, GoLayers], tmp_path: Path
) -> None:
    whiteouts, layers = go_layers
    lower, data = hostile.archive(case.lower), hostile.archive(case.members)
    since = time.time_ns() - SKEW

    theirs = layers.content(data, lower if case.lower else b"")

    assert (theirs is None) == bool(case.words(whiteouts))
    if theirs is not None:
        tmp_path.chmod(0o555)
        if whiteouts == "remove":
            unpack(tmp_path, lower, whiteouts)
        unpack(tmp_path, data, whiteouts)
        assert not treefacts.differences(lasting(tmp_path, since), lasting(theirs, since))


@pytest.mark.gotools
@pytest.mark.overlay
@pytest.mark.parametrize("go_layers", ["overlay"], indirect=True)
@pytest.mark.parametrize(
    "case", [case for case in CASES if case.lower and not case.differs], ids=lambda case: case.name
)
def test_a_second_archive_in_the_same_directory_is_what_it_is_for_the_go_tools(
    case: Case, go_layers: tuple[str, GoLayers], tmp_path: Path
) -> None:
    whiteouts, layers = go_layers
    first, second = hostile.archive(case.lower), hostile.archive(case.members)
    since = time.time_ns() - SKEW

    theirs = layers.in_place(first, second)

    tmp_path.chmod(0o555)
    unpack(tmp_path, first, whiteouts)
    if theirs is None:
        with pytest.raises(ArchiveError):
            unpack(tmp_path, second, whiteouts)
    else:
        unpack(tmp_path, second, whiteouts)
        assert not treefacts.differences(lasting(tmp_path, since), lasting(theirs, since))
