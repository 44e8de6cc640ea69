"""What is left when the daemon of a mounted store is killed at its system calls.

A sample; ``scripts/crash --mount`` takes all of them.
"""

import json
import platform
import sys
from pathlib import Path

import pytest

from tests.support import process, syscallgate
from tests.support.crashmount import DEEDS

pytestmark = [
    pytest.mark.root,
    pytest.mark.overlay,
    pytest.mark.fuse,
    pytest.mark.slow,
    pytest.mark.timeout(120),
    pytest.mark.skipif(
        platform.machine() not in syscallgate.MACHINES,
        reason=f"numbers of system calls are known of {', '.join(sorted(syscallgate.MACHINES))}",
    ),
]


def test_callers_are_told_and_the_next_daemon_goes_on(tmp_path: Path) -> None:
    command = ["unshare", "-m", sys.executable, "-m", "tests.support.crashmount", str(tmp_path)]
    done = process.run([*command, "5", "29"], timeout=110)
    outcomes = [json.loads(line) for line in done.stdout.splitlines()]
    assert [outcome["operation"] for outcome in outcomes] == [deed.name for deed in DEEDS]
    assert [text for outcome in outcomes for text in outcome["wrong"]] == []
    assert all(outcome["lives"] for outcome in outcomes)
    assert sum(outcome["refused"] for outcome in outcomes) > 5
