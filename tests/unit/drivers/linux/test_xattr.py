"""Extended attributes of files, links and O_PATH descriptors."""

import errno
import os
from pathlib import Path

import pytest

from drivers.linux import capability, xattr


def test_an_attribute_is_set_listed_read_and_removed_by_descriptor(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    fd = os.open(tmp_path / "file", os.O_PATH)
    xattr.put(fd, b"user.a", b"\0\xff")
    assert xattr.names(fd) == [b"user.a"]
    assert xattr.get(fd, b"user.a") == b"\0\xff"
    xattr.remove(fd, b"user.a")
    with pytest.raises(OSError) as caught:
        xattr.get(fd, b"user.a")
    assert caught.value.errno == errno.ENODATA
    os.close(fd)


@pytest.mark.root
def test_a_link_has_attributes_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to("file")
    directory = os.open(tmp_path, os.O_PATH | os.O_DIRECTORY)
    xattr.put_at(directory, b"link", b"trusted.a", b"x")
    link = os.open(tmp_path / "link", os.O_PATH | os.O_NOFOLLOW)
    assert xattr.get(link, b"trusted.a") == b"x"
    assert b"trusted.a" in xattr.names_at(directory, b"link")
    assert b"trusted.a" not in xattr.names_at(directory, b"file")
    os.close(link)
    os.close(directory)


@pytest.mark.parametrize("entry", [b"", b".", b"..", b"a/b"])
def test_only_one_name_of_the_directory_is_taken(tmp_path: Path, entry: bytes) -> None:
    directory = os.open(tmp_path, os.O_PATH | os.O_DIRECTORY)
    with pytest.raises(OSError, match="not one name"):
        xattr.names_at(directory, entry)
    os.close(directory)


@pytest.mark.root
def test_root_can_mount() -> None:
    assert capability.can_mount()
