"""Small random archives of few names, links among them: the Go tools refuse or make the same."""

import random
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from drivers.errors import ArchiveError
from tests.support import hostile, mounttable, treefacts
from tests.support.gotools import GoTools, Roots
from tests.support.hostile import DIR, EPOCH, FILE, HARD, LINK, Member
from tests.support.unpacking import DRIVERS, GoLayers, lasting, unpack

pytestmark = [pytest.mark.root, pytest.mark.gotools, pytest.mark.overlay]

NAMES = (b"a", b"b", b"c")
KINDS = (FILE, FILE, DIR, DIR, DIR, LINK, LINK, HARD)
ARCHIVES = 30


@pytest.fixture(scope="module", params=DRIVERS)
def go_layers(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, GoLayers]]:
    base, run = tmp_path_factory.mktemp("go"), tmp_path_factory.mktemp("r")
    tools = GoTools(Roots(base / "graph", run / "r"), driver=DRIVERS[request.param], timeout=30)
    yield request.param, GoLayers(tools, {})
    mounttable.unmount_below(base)


def _path(chance: random.Random) -> bytes:
    return b"/".join(chance.choices(NAMES, k=chance.choice((1, 1, 2, 2, 3))))


def _marked(chance: random.Random, path: bytes) -> bytes:
    parent, slash, name = path.rpartition(b"/")
    return parent + slash + b".wh." + name if chance.random() < 0.2 else path


def _members(chance: random.Random, paths: set[bytes]) -> list[Member]:
    """Mostly in a sensible order and with directories where something lies below."""
    ordered = sorted(paths)
    if chance.random() < 0.3:
        chance.shuffle(ordered)
    members: list[Member] = []
    for path in ordered:
        kind = chance.choice(KINDS)
        if any(other.startswith(path + b"/") for other in paths):
            kind = chance.choice((DIR, DIR, DIR, LINK))
        files = [member.name for member in members if member.type in (FILE, LINK)]
        if kind == HARD and not files:
            kind = FILE
        members.append(_member(chance, path, kind, chance.choice(files or [b"a"])))
    return members


def _member(chance: random.Random, path: bytes, kind: bytes, earlier: bytes) -> Member:
    target = earlier if kind == HARD else b""
    if kind == LINK:
        target = chance.choice((b"", b"/", b"../", b"./")) + chance.choice((_path(chance), b"."))
    return Member(
        path,
        kind,
        data=b"data" if kind == FILE else b"",
        link=target,
        mode=chance.choice((0, 0o644, 0o755, 0o4711)),
        uid=chance.choice((0, 5)),
        mtime=chance.choice((1, EPOCH)),
    )


def _archives(seed: int) -> tuple[bytes, bytes]:
    """A base of directories, files and links, and an archive to be unpacked on it."""
    chance = random.Random(seed)
    below = {_path(chance) for _ in range(5)}
    above = {_marked(chance, _path(chance)) for _ in range(7)}
    return hostile.archive(_members(chance, below)), hostile.archive(_members(chance, above))


@pytest.mark.parametrize("seed", range(ARCHIVES))
def test_a_random_archive_is_what_it_is_for_the_go_tools(
    seed: int, go_layers: tuple[str, GoLayers], tmp_path: Path
) -> None:
    whiteouts, layers = go_layers
    lower, upper = _archives(seed)
    since = time.time_ns() - 50_000_000
    root = tmp_path / "root"
    root.mkdir(mode=0o555)

    theirs = layers.in_place(lower, upper)

    try:
        for archive in (lower, upper):
            unpack(root, archive, whiteouts)
    except ArchiveError:
        assert theirs is None
    else:
        assert theirs is not None
        assert not treefacts.differences(lasting(root, since), lasting(theirs, since))
