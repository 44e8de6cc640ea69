"""What is on the disk after the power failed at any moment of a history of operations.

The history runs on ext4 on a disk that remembers its writes. The disk is then made again as it was
after so many writes, or with some of those that were not flushed yet, mounted as after a reboot,
and the store on it looked at.
"""

import os
from pathlib import Path

import pytest

from tests.support import powercut

pytestmark = [
    pytest.mark.root,
    pytest.mark.overlay,
    pytest.mark.fuse,
    pytest.mark.loop,
    pytest.mark.slow,
]

STATES = 50
"""Of some hundreds; scripts/powercut looks at all of them."""


def test_no_power_cut_loses_what_was_acknowledged_or_shows_wrong_bytes(tmp_path: Path) -> None:
    history = powercut.record(tmp_path, "filesystem")
    assert history.acknowledged > 20
    seen = powercut.replay(tmp_path, history, states=STATES)
    assert seen.states > STATES // 2
    assert seen.wrong == ([], [], [])
    seen = powercut.replay_subsets(tmp_path, history, states=STATES)
    assert seen.wrong == ([], [], []), "a disk with a cache keeps no order between two flushes"


def test_the_comparison_sees_what_is_lost_without_flushes(tmp_path: Path) -> None:
    history = powercut.record(tmp_path, "none")
    seen = powercut.replay(tmp_path, history, states=STATES)
    assert seen.lost or seen.damaged or seen.refused, "a test that cannot fail proves nothing"
    assert not os.listdir(tmp_path / "replayed")
