"""Overlay mounts the way kernels before 6.8 need them; newer ones take them as well."""

import errno
import os
from pathlib import Path

import pytest

from drivers.idmap.maps import IDMap
from drivers.linux import mount, mountinfo
from drivers.overlay.mountdata import OverlayMount
from drivers.overlay.oldkernel import mount_aside, mount_by_descriptors
from drivers.overlay.shifting import Shift, attached

pytestmark = [pytest.mark.root, pytest.mark.overlay]


def lowers(root: Path, count: int) -> tuple[str, ...]:
    for number in range(count):
        (root / f"lower:{number}").mkdir()
        (root / f"lower:{number}" / f"file{number}").touch()
    return tuple(str(root / f"lower:{number}") for number in range(count))


def test_a_view_of_two_hundred_layers_is_left_nowhere(tmp_path: Path) -> None:
    overlay = OverlayMount(lowers=lowers(tmp_path, 200), flags=mount.MS_RDONLY | mount.MS_NODEV)
    fd = mount_aside(str(tmp_path / "aside"), overlay)
    assert len(os.listdir(f"/proc/self/fd/{fd}")) == 200
    assert mountinfo.below(str(tmp_path)) == []
    assert os.listdir(tmp_path / "aside") == []
    (tmp_path / "target").mkdir()
    mount.move_mount(fd, str(tmp_path / "target"))
    os.close(fd)
    entry = mountinfo.at(str(tmp_path / "target"))
    assert entry is not None
    assert {"ro", "nodev"} <= set(entry.options.split(","))
    mount.umount(str(tmp_path / "target"))


def test_a_writable_overlay_takes_any_path(tmp_path: Path) -> None:
    parts = [tmp_path / name for name in ("up,per", "wo\\rk", "target")]
    for part in parts:
        part.mkdir()
    upper, work, target = map(str, parts)
    mount_by_descriptors(target, OverlayMount(lowers=lowers(tmp_path, 1), upper=upper, work=work))
    Path(target, "new").touch()
    mount.umount(target)
    assert os.listdir(upper) == ["new"]


def test_what_the_kernel_refuses_leaves_nothing(tmp_path: Path) -> None:
    overlay = OverlayMount(lowers=lowers(tmp_path, 2), options=("nonsense",))
    with pytest.raises(OSError) as caught:
        mount_aside(str(tmp_path / "aside"), overlay)
    assert caught.value.errno == errno.EINVAL
    assert os.listdir(tmp_path / "aside") == []


def test_mapped_lowers_are_taken_from_a_directory_that_is_gone_afterwards(tmp_path: Path) -> None:
    home, place = tmp_path / "home", tmp_path / "mapped"
    home.mkdir()
    overlay = OverlayMount(lowers=lowers(home, 2), flags=mount.MS_RDONLY)
    maps = (IDMap(0, 300_000, 10),)
    with attached(overlay, Shift(maps, maps, (str(home),)), str(place)) as mapped:
        assert all(lower.startswith(f"{place}/0/") for lower in mapped.lowers)
        fd = mount_aside(str(tmp_path / "aside"), mapped)
    assert mountinfo.below(str(tmp_path)) == []
    assert not place.exists()
    status = os.stat("file1", dir_fd=fd)
    assert (status.st_uid, status.st_gid) == (300_000, 300_000)
    os.close(fd)
