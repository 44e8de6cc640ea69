"""The mount calls against the real kernel, below tmp_path only."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from drivers.linux import mount, mountinfo

pytestmark = pytest.mark.root


@pytest.fixture
def place(tmp_path: Path) -> Iterator[str]:
    where = tmp_path / "place with blank"
    where.mkdir()
    yield str(where)
    while mountinfo.at(str(where)):
        mount.umount(str(where), mount.MNT_DETACH)


def test_what_is_mounted_is_found_in_the_table_and_gone_after_umount(place: str) -> None:
    mount.mount("name", place, "tmpfs", mount.MS_NODEV, "size=1m")
    entry = mountinfo.at(place)
    assert entry is not None
    assert (entry.fstype, entry.source, entry.target) == ("tmpfs", "name", place)
    assert "nodev" in entry.options.split(",")
    mount.umount(place)
    assert mountinfo.at(place) is None


def test_the_topmost_of_two_mounts_at_one_place_is_the_one_found(place: str) -> None:
    mount.mount("first", place, "tmpfs", 0, "")
    mount.mount("second", place, "tmpfs", 0, "")
    entry = mountinfo.at(place)
    assert entry is not None
    assert entry.source == "second"


def test_a_mount_is_found_through_a_link_on_the_way(place: str, tmp_path: Path) -> None:
    mount.mount("name", place, "tmpfs", 0, "")
    (tmp_path / "link").symlink_to(tmp_path)
    assert mountinfo.at(str(tmp_path / "link" / os.path.basename(place))) is not None


def test_mounts_below_come_deepest_first(place: str) -> None:
    mount.mount("outer", place, "tmpfs", 0, "")
    for name in ("a", "a/b"):
        os.mkdir(f"{place}/{name}")
        mount.mount(name, f"{place}/{name}", "tmpfs", 0, "")
    assert [entry.source for entry in mountinfo.below(place)] == ["a/b", "a"]
    for entry in mountinfo.below(place):
        mount.umount(entry.target)


def test_a_bind_mount_shows_the_same_directory(place: str, tmp_path: Path) -> None:
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "file").write_text("x")
    mount.bind(str(tmp_path / "source"), place)
    mount.make_private(place)
    assert os.listdir(place) == ["file"]


def test_a_detached_overlay_is_readable_through_its_descriptor_and_nowhere_else(
    tmp_path: Path,
) -> None:
    for name in ("upper", "lower"):
        (tmp_path / name).mkdir()
        (tmp_path / name / name).write_text(name)
    before = mountinfo.read()
    layers = [("lowerdir+", str(tmp_path / name)) for name in ("upper", "lower")]
    fd = mount.new_mount("overlay", layers, attributes=mount.MOUNT_ATTR_RDONLY)
    try:
        root = os.open(".", os.O_RDONLY | os.O_DIRECTORY, dir_fd=fd)
        assert sorted(os.listdir(root)) == ["lower", "upper"]
        with pytest.raises(OSError, match="Read-only"):
            os.open("new", os.O_CREAT | os.O_WRONLY, dir_fd=root)
        os.close(root)
        assert mountinfo.read() == before
    finally:
        os.close(fd)


def test_five_hundred_lower_directories_mount(tmp_path: Path) -> None:
    layers = []
    for number in range(500):
        (tmp_path / str(number)).mkdir()
        (tmp_path / str(number) / f"file{number}").touch()
        layers.append(("lowerdir+", str(tmp_path / str(number))))
    fd = mount.new_mount("overlay", layers)
    try:
        assert len(os.listdir(f"/proc/self/fd/{fd}")) == 500
    finally:
        os.close(fd)


def test_a_refused_option_is_named_in_the_error(tmp_path: Path) -> None:
    missing = str(tmp_path / "missing")
    with pytest.raises(FileNotFoundError) as caught:
        mount.new_mount("overlay", [("lowerdir+", missing)])
    assert missing in str(caught.value)
    with pytest.raises(OSError, match="nonsense"):
        mount.new_mount("overlay", [("nonsense", None)])


def test_a_detached_copy_takes_attributes_before_it_is_attached(place: str, tmp_path: Path) -> None:
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "file").write_text("x")
    fd = mount.open_tree(str(tmp_path / "source"), clone=True)
    try:
        mount.set_attributes(fd, set=mount.MOUNT_ATTR_RDONLY | mount.MOUNT_ATTR_NOSUID)
        mount.move_mount(fd, place)
    finally:
        os.close(fd)
    entry = mountinfo.at(place)
    assert entry is not None
    assert {"ro", "nosuid"} <= set(entry.options.split(","))
    with pytest.raises(OSError, match="Read-only"):
        (tmp_path / os.path.basename(place) / "new").touch()


def test_the_mount_id_of_a_descriptor_is_the_one_in_the_table(place: str) -> None:
    mount.mount("name", place, "tmpfs", 0, "")
    fd = os.open(place, os.O_PATH)
    entry = mountinfo.at(place)
    assert entry is not None
    assert mountinfo.mount_id(fd) == entry.id
    os.close(fd)


def test_mount_data_of_a_page_is_refused_instead_of_cut(place: str) -> None:
    with pytest.raises(OSError, match="longer than a page"):
        mount.mount("x", place, "tmpfs", 0, "x" * os.sysconf("SC_PAGE_SIZE"))


def test_unmounting_what_is_no_mount_is_an_error_with_the_path(place: str) -> None:
    with pytest.raises(OSError, match="place with blank"):
        mount.umount(place)
