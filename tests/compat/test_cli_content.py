"""The files of layers on twin stores: archives, copies and mounts are those of the Go tool."""

import io
import os
import stat
import tarfile
from pathlib import Path

import pytest

from tests.support.twins import Twins, archive

pytestmark = [pytest.mark.root, pytest.mark.gotools]


@pytest.mark.parametrize("suffix", ["plain", "gz", "bz2", "xz"])
def test_archives_come_in_and_go_out_alike(filled: Twins, suffix: str) -> None:
    mode = "w" if suffix == "plain" else f"w:{suffix}"
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode=mode) as tar:
        tar.addfile(tarfile.TarInfo("etc/file"))
    words = ("import-layer", "-i", "loaded", "-n", "l", "bottom")
    filled.same(*words, stdin=made.getvalue())
    filled.same("importlayer", "-j", "-i", "second", stdin=made.getvalue())
    filled.same("layers", "-j")
    filled.same_lines("changes", "loaded")
    filled.same("diffsize", "loaded")
    plain = filled.same("diff", "-u", "loaded")
    with tarfile.open(fileobj=io.BytesIO(plain.out)) as tar:
        assert tar.getnames() == ["etc/file"]
    theirs, ours = filled.both("diff", "loaded")
    assert ours.code == theirs.code == (1 if suffix in ("bz2", "xz") else 0)


def test_a_broken_archive_fails_alike_and_leaves_no_layer(filled: Twins) -> None:
    filled.same("import-layer", "-i", "broken", stdin=archive(x=b"1" * 2000)[:1500])
    filled.same("import-layer", "-i", "broken", stdin=b"no archive " * 100)
    filled.same("exists", "-l", "broken")
    filled.same("import-layer", "-i", "nothing", "-j", stdin=b"")
    filled.same("import-layer", "-f", "/nonexistent/file")
    filled.same("applydiff", "nosuch")


def test_archives_are_applied_alike(filled: Twins, tmp_path: Path) -> None:
    filled.same("applydiff", "top", stdin=archive(a=b"1", b=b"22"))
    filled.same_lines("changes", "top")
    filled.same("diffsize", "top")
    filled.same("diff-size", "top", "bottom")
    filled.same("apply-diff", "top", stdin=archive(a=b"333", c=b"4"))
    filled.same_lines("changes", "top")
    filled.same("layer", "-j", "top")
    source = tmp_path / "layer.tar"
    source.write_bytes(archive(d=b"5"))
    filled.same("applydiff", "-f", str(source), "top")
    target = tmp_path / "out.tar"
    filled.same("diff", "-u", "-f", str(target), "top")
    with tarfile.open(target) as tar:
        assert tar.getnames() == ["d"]
    filled.same("diff", "--bz2", "top")
    filled.same("diff", "-x", "top")
    filled.same("diff", "nosuch")
    filled.same("changes", "nosuch")
    filled.same("diffsize", "nosuch")


def test_mounting_is_counted_alike(filled: Twins) -> None:
    filled.same("mount", "top")
    filled.same("mount", "nosuch", "top")
    filled.same("mount", "-j", "nosuch", "top")
    for words in (
        "mounted top base nosuch", "unmount top", "mounted upper", "umount --force top",
        "mounted top", "unmount top", "unmount nosuch", "layers -t",
    ):  # fmt: skip
        filled.same(*words.split())
    filled.same("mount", "web")
    filled.same("unmount", "-f", "web")
    filled.same("unmount", "base")


def test_files_are_copied_alike(filled: Twins, tmp_path: Path) -> None:
    host = tmp_path / "host"
    (host / "deep" / "er").mkdir(parents=True)
    (host / "deep" / "file").write_bytes(b"text")
    (host / "deep" / "link").symlink_to("/etc/passwd")
    (host / "deep" / "same").hardlink_to(host / "deep" / "file")
    os.chown(host / "deep" / "file", 1, 2)
    file = str(host / "deep" / "file")
    for words in (
        ["copy", file, "base:/place"],
        ["copy", str(host), "base:/tree"],
        ["copy", "--chown", "7:8", file, "upper:/chowned"],
        ["copy", "--chown", "9", file, "top:chowned/"],
        ["copy", "base:/tree/deep", "top:/again"],
    ):
        filled.same(*words)
    for words in (
        ["copy", "--chown", "root", file, "base:/x"],
        ["copy", file, "nosuch:/x"],
        ["copy", "nosuch:/x", file],
        ["copy", "base:/nosuch", str(tmp_path / "target")],
    ):
        filled.fail(*words)
    for layer in ("base", "top"):
        place = f"vfs/dir/{layer}" if filled.driver == "vfs" else f"overlay/{layer}/diff"
        ours, theirs = filled.ours.roots.graph / place, filled.go.roots.graph / place
        assert seen(ours) == seen(theirs) != {}
    filled.same_lines("changes", "base")
    filled.same_lines("changes", "top")


def test_files_come_out_alike(filled: Twins, tmp_path: Path) -> None:
    filled.same("applydiff", "top", stdin=archive(**{"etc/a": b"1", "etc/b": b"22"}))
    for tool in ("go", "us"):
        (tmp_path / f"{tool}-out").mkdir()
    filled.go.storage("copy", "top:/etc", str(tmp_path / "go-out"))
    assert filled.ours("copy", "top:/etc", str(tmp_path / "us-out")).code == 0

    assert seen(tmp_path / "us-out") == seen(tmp_path / "go-out") != {}


def seen(root: Path) -> dict[str, tuple[object, ...]]:
    """Mode, owner, number of links and content of everything below a directory."""
    found: dict[str, tuple[object, ...]] = {}
    for path in root.rglob("*"):
        status = path.lstat()
        content: bytes | str = path.read_bytes() if stat.S_ISREG(status.st_mode) else b""
        if path.is_symlink():
            content = os.readlink(path)
        links = 0 if path.is_dir() else status.st_nlink
        owner = (status.st_uid, status.st_gid)
        found[str(path.relative_to(root))] = (oct(status.st_mode), *owner, links, content)
    return found


@pytest.mark.overlay
@pytest.mark.parametrize("twins", ["overlay"], indirect=True)
def test_images_are_mounted_alike(filled: Twins) -> None:
    filled.same("applydiff", "top", stdin=archive(a=b"1"))
    for words in (
        "mount --ro picture", "mount -r nosuch", "mount -rj localhost/a:1", "unmount picture",
        "unmount -f picture", "unmount -j picture nosuch", "unmount picture",
    ):  # fmt: skip
        filled.same(*words.split())
