"""What is left when any operation is cut off at any system call: by a kill, by an error.

A sample of the steps; scripts/crash takes all of them and prints a table.
"""

import json
import platform
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support import process, syscallgate
from tests.support.crashoperations import OPERATIONS

pytestmark = [
    pytest.mark.root,
    pytest.mark.overlay,
    pytest.mark.gotools,
    pytest.mark.slow,
    pytest.mark.timeout(240),
    pytest.mark.skipif(
        platform.machine() not in syscallgate.MACHINES,
        reason=f"numbers of system calls are known of {', '.join(sorted(syscallgate.MACHINES))}",
    ),
]


@pytest.fixture
def base() -> Iterator[Path]:
    """A directory with a short path: podman takes a run root of 50 characters at most."""
    with tempfile.TemporaryDirectory(prefix="r") as directory:
        yield Path(directory)


def lives(base: Path, *words: str) -> list[dict[str, Any]]:
    """What tests.support.crashlives prints."""
    command = ["unshare", "-m", sys.executable, "-m", "tests.support.crashlives", str(base)]
    done = process.run([*command, *words], timeout=230)
    return [json.loads(line) for line in done.stdout.splitlines()]


def names(driver: str) -> list[str]:
    """Of all operations of *driver*."""
    return [each.name for each in OPERATIONS if driver in each.drivers]


@pytest.mark.parametrize(
    ("disk", "driver", "stride", "turn"),
    [
        ("tmpfs", "overlay", "29", slice(None)),
        ("tmpfs", "vfs", "43", slice(0, None, 2)),
        pytest.param("btrfs", "btrfs", "43", slice(1, None, 2), marks=pytest.mark.btrfs),
    ],
)
def test_a_kill_at_any_step_loses_nothing_and_leaves_nothing_half_made(
    base: Path, disk: str, driver: str, stride: str, turn: slice
) -> None:
    """Every operation with overlay, and with one of the other drivers."""
    some = names(driver)[turn]
    outcomes = lives(base, disk, driver, "kill", "3", stride, *some)
    assert [outcome["operation"] for outcome in outcomes] == some
    assert [text for outcome in outcomes for text in outcome["wrong"]] == []
    assert all(outcome["steps"] > 5 for outcome in outcomes if outcome["operation"] != "dedup")
    assert sum(outcome["as_before"] for outcome in outcomes) > 2
    assert sum(outcome["as_after"] for outcome in outcomes) > 2
    assert sum(outcome["go"] for outcome in outcomes) > 0


@pytest.mark.parametrize(
    ("error", "stride", "turn"),
    [
        ("ENOSPC", "29", slice(0, None, 4)),
        ("EIO", "29", slice(1, None, 4)),
        ("EDQUOT", "29", slice(2, None, 4)),
        ("EMFILE", "11", slice(3, None, 4)),
        ("ENOMEM", "43", slice(4, None, 8)),
        ("EINTR", "11", slice(3, None, 8)),
    ],
)
def test_an_error_at_any_step_is_told_changes_nothing_and_does_not_last(
    base: Path, error: str, stride: str, turn: slice
) -> None:
    """Each error at some of the operations."""
    some = names("overlay")[turn]
    outcomes = lives(base, "tmpfs", "overlay", error, "5", stride, *some)
    assert [outcome["operation"] for outcome in outcomes] == some
    assert [text for outcome in outcomes for text in outcome["wrong"]] == []
    assert sum(outcome["refused"] for outcome in outcomes) > 5


def test_a_write_of_less_than_was_asked_for_goes_on_unnoticed(base: Path) -> None:
    some = names("overlay")[1::6]
    outcomes = lives(base, "tmpfs", "overlay", "short", "1", "5", *some)
    assert [outcome["operation"] for outcome in outcomes] == some
    assert [text for outcome in outcomes for text in outcome["wrong"]] == []
    assert sum(outcome["tolerated"] for outcome in outcomes) > 5
