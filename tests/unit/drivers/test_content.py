"""The files of a layer by their names in its archive: regular ones, and nothing else is touched."""

import os
from pathlib import Path

import inotify_simple
import pytest

from drivers.content import ContentDirectories

DIRECTORIES = (b"", b".", b"..", b"/", b"etc", b"etc/")


def layer(root: Path) -> Path:
    (root / "etc").mkdir()
    (root / "etc" / "motd").write_text("hello")
    (root / "top").write_text("top")
    os.mkfifo(root / "etc" / "pipe")
    os.mkfifo(root / "pipe")
    (root / "link").symlink_to("etc/motd")
    return root


def read(reader: ContentDirectories, name: bytes) -> bytes:
    fd = reader.open(name)
    try:
        return os.read(fd, 100)
    finally:
        os.close(fd)


def test_files_are_found_by_any_way_to_write_their_names(tmp_path: Path) -> None:
    reader = ContentDirectories([str(layer(tmp_path))])
    for name, content in (
        (b"etc/motd", b"hello"),
        (b"./etc/motd", b"hello"),
        (b"/etc/../etc//motd", b"hello"),
        (b"top", b"top"),
        (b"/top", b"top"),
        (b"../../top", b"top"),
    ):
        assert read(reader, name) == content
    for name in (*DIRECTORIES, b"link", b"missing/motd", b"top/x", b"top\0"):
        with pytest.raises(FileNotFoundError):
            reader.open(name)
    reader.close()


@pytest.mark.parametrize("name", [b"etc/pipe", b"pipe", b"./etc/pipe"])
def test_what_is_no_file_is_not_even_opened(tmp_path: Path, name: bytes) -> None:
    reader = ContentDirectories([str(layer(tmp_path))])
    with inotify_simple.INotify() as inotify:
        inotify.add_watch(tmp_path / "pipe", inotify_simple.flags.OPEN)
        inotify.add_watch(tmp_path / "etc" / "pipe", inotify_simple.flags.OPEN)
        with pytest.raises(FileNotFoundError):
            reader.open(name)
        assert inotify.read(timeout=0) == []
    reader.close()


def test_a_directory_that_could_not_be_opened_is_looked_into_the_next_time(tmp_path: Path) -> None:
    place = tmp_path / "diff"
    content = ContentDirectories([str(place)])
    with pytest.raises(FileNotFoundError):
        content.open(b"file")
    place.mkdir()
    (place / "file").write_bytes(b"x")
    os.close(content.open(b"file"))
    content.close()
