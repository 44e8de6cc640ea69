"""What is left when any operation is cut off at any system call: by a kill, by an error.

A sample of the steps; scripts/crash takes all of them and prints a table.
"""

import json
import platform
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support import process
from tests.support.crashoperations import OPERATIONS

pytestmark = [
    pytest.mark.root,
    pytest.mark.overlay,
    pytest.mark.gotools,
    pytest.mark.slow,
    pytest.mark.timeout(240),
    pytest.mark.skipif(platform.machine() != "x86_64", reason="numbers of system calls"),
]


def lives(base: Path, *words: str) -> list[dict[str, Any]]:
    """What tests.support.crashlives prints."""
    command = ["unshare", "-m", sys.executable, "-m", "tests.support.crashlives", str(base)]
    done = process.run([*command, *words], timeout=230)
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.parametrize(("driver", "stride"), [("overlay", "17"), ("vfs", "41")])
def test_a_kill_at_any_step_loses_nothing_and_leaves_nothing_half_made(
    tmp_path: Path, driver: str, stride: str
) -> None:
    outcomes = lives(tmp_path, driver, "kill", "3", stride)
    assert [outcome["operation"] for outcome in outcomes] == [each.name for each in OPERATIONS]
    assert [text for outcome in outcomes for text in outcome["wrong"]] == []
    assert all(outcome["steps"] > 5 for outcome in outcomes)
    assert sum(outcome["as_before"] for outcome in outcomes) > 10
    assert sum(outcome["as_after"] for outcome in outcomes) > 5
    assert sum(outcome["go"] for outcome in outcomes) > 0


@pytest.mark.parametrize(
    ("error", "stride", "some"),
    [
        ("ENOSPC", "29", []),
        ("EIO", "43", []),
        ("EDQUOT", "19", ["put layer", "create container", "delete image"]),
        ("EMFILE", "31", ["put layer", "create image", "delete container", "repair", "wipe"]),
    ],
)
def test_an_error_at_any_step_is_told_changes_nothing_and_does_not_last(
    tmp_path: Path, error: str, stride: str, some: list[str]
) -> None:
    outcomes = lives(tmp_path, "overlay", error, "5", stride, *some)
    assert len(outcomes) >= (len(some) or len(OPERATIONS) - 1)
    assert [text for outcome in outcomes for text in outcome["wrong"]] == []
    assert sum(outcome["refused"] for outcome in outcomes) > 5
