"""What is remembered of a trial: what the kernel answered, never that one could not be made."""

import os
import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from drivers.overlay.probe import Probe
from drivers.trash import recover_stale

pytestmark = [pytest.mark.root, pytest.mark.overlay]

FEATURES: list[Callable[[Probe], object]] = [
    Probe.overlay,
    Probe.native_diff,
    Probe.volatile,
    Probe.metacopy,
    Probe.mapped_lowers,
]


def probe_in(base: Path) -> Probe:
    home, run = base / "graph/overlay", base / "run/overlay"
    return Probe(str(home), str(run), (), prefix=b"trusted.overlay.", remember_only=False)


@contextmanager
def without_descriptors() -> Iterator[None]:
    """No descriptor is free."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    free = os.dup(0)
    os.close(free)
    resource.setrlimit(resource.RLIMIT_NOFILE, (free, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.parametrize("ask", FEATURES)
def test_what_could_not_be_tried_is_asked_again(
    tmp_path: Path, ask: Callable[[Probe], object]
) -> None:
    probe = probe_in(tmp_path)
    answers = []
    with without_descriptors(), suppress(OSError):
        answers.append(ask(probe))
    assert not any(answers)
    run = tmp_path / "run/overlay"
    assert not run.exists() or os.listdir(run) == []
    assert ask(probe) in (None, True, False)
    assert len(os.listdir(run)) == 1


def test_a_trial_leaves_nothing_and_what_a_crash_left_of_one_is_trash(tmp_path: Path) -> None:
    probe = probe_in(tmp_path)
    probe.overlay()
    home = tmp_path / "graph/overlay"
    assert os.listdir(home) == []
    (home / "tempdirs/temp-dir-0123456789abcdef/0-addition/upper").mkdir(parents=True)
    recover_stale(str(home / "tempdirs"))
    assert os.listdir(home) == []
