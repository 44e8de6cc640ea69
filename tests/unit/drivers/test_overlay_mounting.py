"""What a stop in the middle of an unmount leaves goes with the next mount; what others put there
stays.
"""

import os

import pytest

from drivers.linux import mountinfo
from drivers.protocol import MountRequest, NewLayer
from tests.support.driverlayers import BASE, open_for
from tests.support.gotools import Roots

pytestmark = [pytest.mark.root, pytest.mark.overlay]


def test_a_mount_takes_away_the_mount_point_that_was_to_replace_its_own(roots: Roots) -> None:
    driver = open_for(roots, "overlay")
    driver.create(NewLayer(id=BASE, writable=True))
    left = roots.graph / "overlay" / BASE / "merged.1"
    left.mkdir(0o700)
    target = driver.mount(MountRequest(layer=BASE))
    assert not left.exists()
    driver.unmount(BASE)
    assert mountinfo.at(target) is None
    assert os.listdir(target) == []
    assert not left.exists()


def test_what_lies_in_a_mount_point_is_no_obstacle_to_an_unmount(roots: Roots) -> None:
    driver = open_for(roots, "overlay")
    driver.create(NewLayer(id=BASE, writable=True))
    left = roots.graph / "overlay" / BASE / "merged" / "left"
    left.write_text("by somebody who thought that it was mounted")
    target = driver.mount(MountRequest(layer=BASE))
    driver.unmount(BASE)
    assert mountinfo.at(target) is None
    assert left.exists()
    assert not os.path.exists(f"{target}.1")
