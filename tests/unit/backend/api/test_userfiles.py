"""The list of users in an image: read with care, because anybody may have written the image."""

import os
import socket
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from backend.api.userfiles import highest_id
from backend.errors import InvalidValueError


@pytest.fixture
def image(tmp_path: Path) -> Path:
    root = tmp_path / "image"
    (root / "etc").mkdir(parents=True)
    return root


def highest(image: Path, **files: str) -> int:
    flags = os.O_RDONLY | os.O_DIRECTORY
    before = len(os.listdir("/proc/self/fd"))
    try:
        return highest_id(lambda: os.open(image, flags), "the image", **files)
    finally:
        assert len(os.listdir("/proc/self/fd")) == before


def test_the_highest_id_of_both_files_counts(image: Path) -> None:
    (image / "etc/passwd").write_text(
        "root:x:0:0:root:/root:/bin/sh\n\n#c:x:9999:9999\nbroken\nme:x:1000:1500:::\n"
    )
    assert highest(image) == 1500
    (image / "etc/group").write_text("root:x:0:\nbig:x:70000:me\nbad:x:-5:\nbad:x:9x:\n")
    assert highest(image) == 70000


def test_nobody_does_not_count(image: Path) -> None:
    (image / "etc/passwd").write_text("nobody:x:99999:99999::\nother:x:65534:7::\n")
    (image / "etc/group").write_text("nogroup:x:88888:\nnobody:x:77777:\n")
    assert highest(image) == 7


def test_an_image_without_the_files_names_nobody(image: Path) -> None:
    assert highest(image) == -1
    (image / "etc").rmdir()
    assert highest(image) == -1
    (image / "etc").write_text("no directory")
    assert highest(image) == -1


def test_links_stay_inside_the_image(image: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("x:x:4242:4242::\n")
    (image / "etc/passwd").symlink_to("../../secret")
    (image / "etc/group").symlink_to(f"{tmp_path}/secret")
    assert highest(image) == -1
    (image / "secret").write_text("x:x:17:17::\n")
    assert highest(image) == 17
    (image / "etc/group").unlink()
    (image / "etc/group").symlink_to("group")
    assert highest(image) == 17


def make_fifo(path: Path) -> None:
    os.mkfifo(path)


def make_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))


def make_endless(path: Path) -> None:
    os.mknod(path, 0o020666, os.makedev(1, 5))  # /dev/zero


def make_link_to_endless(path: Path) -> None:
    make_endless(path.with_name("zero"))
    path.symlink_to("zero")


def make_huge(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(10 << 30)


@pytest.mark.root
@pytest.mark.parametrize("name", ["passwd", "group"])
@pytest.mark.parametrize(
    "make", [make_fifo, make_socket, make_endless, make_link_to_endless, make_huge, Path.mkdir]
)
def test_what_never_ends_is_refused_at_once(
    image: Path, name: str, make: Callable[[Path], object]
) -> None:
    make(image / "etc" / name)
    started = time.monotonic()
    with pytest.raises(InvalidValueError, match=f"/etc/{name} of the image") as refused:
        highest(image)
    assert time.monotonic() - started < 1
    assert "size" in refused.value.remedy


def test_files_of_the_host_count_instead(image: Path, tmp_path: Path) -> None:
    (image / "etc/passwd").write_text("a:x:5000:5000::\n")
    (image / "etc/group").write_text("a:x:6000:\n")
    given = tmp_path / "given"
    given.write_text("b:x:10:11::\n")
    assert highest(image, passwd_file=str(given)) == 6000
    assert highest(image, passwd_file=str(given), group_file=str(given)) == 11
    with pytest.raises(FileNotFoundError):
        highest(image, passwd_file=str(tmp_path / "missing"))
