"""Two daemons, their mounts and the Go tool change one store at once, and all goes well."""

import errno
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.support import debian, process, recordcheck, wait
from tests.support.gotools import GoTools, Roots
from tests.support.mounted import Mounted

pytestmark = [
    pytest.mark.overlay,
    pytest.mark.fuse,
    pytest.mark.gotools,
    pytest.mark.debian_image,
]

MountStore = Callable[..., Mounted]

LEGITIMATE = {errno.EBUSY, errno.EEXIST, errno.ENOENT}
KEEP_EVERY = 5


@dataclass
class Party:
    """What the workers share: when to end, what they made, what went wrong."""

    until: float
    kept: set[str] = field(default_factory=set)
    rounds: dict[str, int] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)

    def run(self, name: str, one_round: Callable[[int], None]) -> threading.Thread:
        """Start a worker that repeats *one_round* until the time is over or something fails."""

        def work() -> None:
            number = 0
            while time.monotonic() < self.until and not self.failures:
                try:
                    one_round(number)
                except (OSError, AssertionError) as error:
                    self.failures.append(f"{name}, round {number}: {error!r} {error}")
                number += 1
                self.rounds[name] = number

        thread = threading.Thread(target=work, name=name)
        thread.start()
        return thread


@contextmanager
def contested() -> Iterator[None]:
    """What loses a race may say so."""
    try:
        yield
    except OSError as error:
        if error.errno not in LEGITIMATE:
            raise


@dataclass
class ThroughTheMount:
    """Makes, fills, reads, renames and deletes containers of its own below one mount."""

    party: Party
    mnt: Path
    name: str

    def __call__(self, number: int) -> None:
        name = f"{self.name}-{number}"
        (self.mnt / "images" / debian.COPIED / "containers" / name).mkdir()
        container = self.mnt / "containers" / name
        data = container / "rootfs" / "etc" / "data"
        data.write_text(name)
        assert data.read_text() == name
        assert (container / "rootfs" / "etc" / "motd").read_text() == "hello again\n"
        if number % KEEP_EVERY == 0:
            self.party.kept.add(name)
        else:
            container.rmdir()


@dataclass
class Contest:
    """Makes and deletes a container whose name everybody wants."""

    mnt: Path

    def __call__(self, number: int) -> None:
        with contested():
            (self.mnt / "images" / debian.COPIED / "containers" / "wanted").mkdir()
        with contested():
            (self.mnt / "containers" / "wanted").rmdir()


@dataclass
class Reader:
    """Walks what is there; what goes away meanwhile may be missing."""

    mnt: Path

    def __call__(self, number: int) -> None:
        for container in (self.mnt / "containers").iterdir():
            with contested():
                (container / "info.json").read_bytes()
        layer = random.choice(list((self.mnt / "layers").iterdir()))
        with contested():
            (layer / "info.json").read_bytes() if len(layer.name) == 64 else layer.stat()
        assert (self.mnt / "images" / debian.COPIED / "rootfs/etc/motd").stat().st_size == 12


@dataclass
class GoLoop:
    """create, mount, unmount, delete with the Go tool, on containers of its own."""

    party: Party
    go: GoTools

    def __call__(self, number: int) -> None:
        name = f"go-{number}"
        self.go.storage("create-container", "-n", name, debian.COPIED)
        merged = Path(self.go.storage("mount", name).strip())
        (merged / "etc" / "data").write_text(name)
        self.go.storage("unmount", name)
        if number % KEEP_EVERY == 0:
            self.party.kept.add(name)
        else:
            self.go.storage("delete-container", name)


def names(go: GoTools) -> set[str]:
    found = go.storage_json("containers", "--json")
    return {name for container in found for name in container.get("names", ())}


@pytest.mark.parametrize(
    "seconds", [10, pytest.param(60, marks=[pytest.mark.slow, pytest.mark.timeout(1000)])]
)
def test_two_daemons_and_the_go_tool_lose_nothing(
    seconds: float, debian_roots: Roots, mount_store: MountStore
) -> None:
    go = GoTools(debian_roots)
    one = mount_store(debian_roots, name="one", limit=seconds + 200)
    two = mount_store(debian_roots, name="two", limit=seconds + 200)
    party = Party(until=time.monotonic() + seconds)
    workers = [
        party.run("go", GoLoop(party, go)),
        party.run("one", ThroughTheMount(party, one.where, "one")),
        party.run("two", ThroughTheMount(party, two.where, "two")),
        party.run("contest one", Contest(one.where)),
        party.run("contest two", Contest(two.where)),
        party.run("reader one", Reader(one.where)),
        party.run("reader two", Reader(two.where)),
    ]
    for worker in workers:
        worker.join(seconds + 100)
        assert not worker.is_alive(), f"{worker.name} is stuck"
    assert party.failures == []
    assert min(party.rounds.values()) >= 2, party.rounds
    survivors = names(go)
    assert survivors - {"wanted"} == party.kept
    for mounted in (one, two):
        listed = mounted.where / "containers"
        wait.until(
            lambda listed=listed: {p.name for p in listed.iterdir()} - {"by-id"} == survivors,
            2,
            "both mounts list what the Go tool lists",
        )
        for name in party.kept:
            assert (listed / name / "rootfs" / "etc" / "data").read_text() == name
    assert [one.stop(), two.stop()] == [0, 0]
    assert recordcheck.problems(go) == []
    process.run(go.command("containers-storage", "layers"), timeout=10)
