"""Opening below a root that is full of links that lead out."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from drivers.linux.beneath import open_beneath


@pytest.fixture
def root(tmp_path: Path) -> Iterator[int]:
    (tmp_path / "secret").write_text("outside")
    inside = tmp_path / "root"
    (inside / "etc").mkdir(parents=True)
    (inside / "etc" / "motd").write_text("inside")
    (inside / "absolute").symlink_to("/etc")
    (inside / "up").symlink_to("../secret")
    (inside / "magic").symlink_to("/proc/self/cwd")
    fd = os.open(inside, os.O_PATH | os.O_DIRECTORY)
    yield fd
    os.close(fd)


def content(fd: int) -> str:
    with os.fdopen(fd) as file:
        return file.read()


def test_absolute_links_are_followed_inside_the_root(root: int) -> None:
    assert content(open_beneath(root, b"absolute/motd", os.O_RDONLY)) == "inside"
    assert content(open_beneath(root, b"/etc/../../../etc/motd", os.O_RDONLY)) == "inside"


@pytest.mark.parametrize("path", [b"up", b"../secret", b"magic/secret"])
def test_nothing_leads_out(root: int, path: bytes) -> None:
    with pytest.raises(OSError) as caught:
        open_beneath(root, path, os.O_RDONLY, follow_last=True)
    assert caught.value.filename == os.fsdecode(path)


def test_the_last_link_is_opened_itself(root: int) -> None:
    fd = open_beneath(root, b"up", os.O_PATH)
    assert os.readlink("", dir_fd=fd) == "../secret"
    os.close(fd)
    with pytest.raises(OSError, match="symbolic links"):
        open_beneath(root, b"up", os.O_RDONLY)


def test_a_new_file_has_the_mode_and_the_descriptor_is_not_inherited(root: int) -> None:
    fd = open_beneath(root, b"etc/new", os.O_CREAT | os.O_WRONLY, 0o600)
    assert os.fstat(fd).st_mode & 0o777 == 0o600
    assert not os.get_inheritable(fd)
    os.close(fd)


def test_the_empty_path_is_the_root_itself(root: int) -> None:
    fd = open_beneath(root, b"", os.O_RDONLY | os.O_DIRECTORY)
    assert os.path.samestat(os.fstat(fd), os.fstat(root))
    os.close(fd)
