"""Fixtures and gates of every test: capabilities, own roots, the Go tools, mounted stores.

A mark (root, overlay, fuse, …: tests.support.capabilities) skips where the machine cannot run
the test; ``STORAGEFS_REQUIRE=root,fuse`` makes such a skip a failure. The summary names what did
not run.
"""

import re
from collections import Counter
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support import capabilities, debian, mounttable, process
from tests.support.gotools import GoTools, Roots
from tests.support.mounted import Mounted

MountStore = Callable[..., Mounted]

_MOUNTS = pytest.StashKey[list[Mounted]]()
_skipped_tiers: Counter[tuple[str, str]] = Counter()


def _required() -> set[str]:
    return set(filter(None, process.setting("STORAGEFS_REQUIRE").split(",")))


def pytest_configure(config: pytest.Config) -> None:
    """Refuse a misspelt STORAGEFS_REQUIRE, which would require nothing."""
    del config
    if unknown := _required() - set(capabilities.PROBES):
        known = ", ".join(capabilities.PROBES)
        raise pytest.UsageError(f"STORAGEFS_REQUIRE: unknown {unknown}; known are {known}")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whichever test comes first builds the Debian image: give it time."""
    for item in items:
        if item.get_closest_marker("debian_image") and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(900))


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip, or fail where it is required, a test whose capability is missing."""
    for name in capabilities.PROBES:
        if item.get_closest_marker(name) is None:
            continue
        if reason := capabilities.missing(name):
            if name in _required():
                pytest.fail(f"{name} is required here, but: {reason}", pytrace=False)
            pytest.skip(f"{name}: {reason}")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show with a failed test what its daemons printed."""
    report = yield
    if report.failed:
        for mounted in item.stash.get(_MOUNTS, []):
            report.sections.append((f"log of {mounted.where.name}", mounted.log_text()))
    return report


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Count what a missing capability skipped (with pytest-xdist, in the controller)."""
    if report.skipped and isinstance(report.longrepr, tuple):
        tier, _, reason = report.longrepr[2].removeprefix("Skipped: ").partition(": ")
        if tier in capabilities.PROBES:
            _skipped_tiers[tier, reason] += 1


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Name each tier that did not run, and why."""
    if _skipped_tiers:
        terminalreporter.section("tiers that did not run")
    for (tier, reason), count in sorted(_skipped_tiers.items()):
        terminalreporter.line(f"{tier}: {count} tests ({reason})")


@pytest.fixture(scope="session", autouse=True)
def stale_mounts_are_swept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Detach what earlier or broken runs left below pytest's own temporary directories."""
    base = tmp_path_factory.getbasetemp()
    mounttable.unmount_below(base)
    if re.fullmatch(r"pytest-\d+", base.name) and not process.setting("PYTEST_XDIST_WORKER"):
        _sweep_dead_runs(base)
    yield
    mounttable.unmount_below(base)


def _sweep_dead_runs(base: Path) -> None:
    """Detach mounts of runs beside ours whose lock file, kept by pytest while it runs, is gone.

    The oldest are removed, as pytest would, which gives up on very deep trees.
    """
    number = int(base.name.removeprefix("pytest-"))
    for run in base.parent.glob("pytest-*[0-9]"):
        if not (run / ".lock").exists():
            mounttable.unmount_below(run)
            if int(run.name.removeprefix("pytest-")) < number - 2:
                _erase(run)
    for garbage in base.parent.glob("garbage-*"):
        _erase(garbage)


def _erase(tree: Path) -> None:
    """Remove *tree* however deep it is, but nothing that is mounted in it."""
    process.run(["rm", "-rf", "--one-file-system", str(tree)], timeout=120, check=False)


@pytest.fixture
def roots(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Roots]:
    """A graph root and a run root of the test's own; afterwards nothing is mounted below them."""
    with _roots(tmp_path, tmp_path_factory) as roots:
        yield roots


@contextmanager
def _roots(base: Path, factory: pytest.TempPathFactory) -> Iterator[Roots]:
    """Roots that are not there yet. podman takes a run root of 50 characters at most."""
    run = factory.mktemp("r")
    yield Roots(base / "graph", run / "r")
    mounttable.unmount_below(base)
    mounttable.unmount_below(run)


@pytest.fixture
def go(roots: Roots) -> GoTools:
    """The Go tools on the test's own roots, with the overlay driver."""
    return GoTools(roots)


@pytest.fixture
def go_vfs(roots: Roots) -> GoTools:
    """The Go tools on the test's own roots, with the vfs driver."""
    return GoTools(roots, driver="vfs")


@pytest.fixture(scope="session")
def debian_content(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The store of tests.support.debian to make others from; nothing is ever mounted in it.

    A driver bind-mounts its home, and the kernel makes no hard links out of a mount.
    """
    content = tmp_path_factory.mktemp("content") / "graph"
    debian.copy_store(content)
    yield content
    _erase(content)


@pytest.fixture(scope="session")
def debian_store(debian_content: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Roots]:
    """A store with the images of tests.support.debian, shared by a run: leave it as it was."""
    with _roots(tmp_path_factory.mktemp("debian"), tmp_path_factory) as roots:
        debian.link_store(debian_content, roots.graph)
        yield roots
    _erase(roots.graph)


@pytest.fixture
def debian_roots(roots: Roots, debian_content: Path) -> Iterator[Roots]:
    """A store with the images of tests.support.debian, the test's own.

    The content of its layers is that of debian_content, hard linked: nothing may write to it.
    """
    debian.link_store(debian_content, roots.graph)
    yield roots
    mounttable.unmount_below(roots.graph)
    _erase(roots.graph)


@pytest.fixture
def mount_store(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[MountStore]:
    """A function that mounts a store with a daemon of its own; all are ended afterwards.

    ``mount_store(roots, "native=off", name="second", driver="vfs")``; the daemon's log is shown
    when the test fails. A test that takes longer than 110 seconds says so with *limit*.
    """
    started: list[Mounted] = []

    request.node.stash[_MOUNTS] = started

    def mount(
        roots: Roots,
        *options: str,
        name: str = "mnt",
        driver: str = "overlay",
        limit: float = 110,
    ) -> Mounted:
        log = tmp_path / f"{name}.log"
        mounted = Mounted(roots, tmp_path / name, log, options, driver, limit)
        started.append(mounted)
        return mounted.start()

    yield mount
    for mounted in reversed(started):
        mounted.close()
