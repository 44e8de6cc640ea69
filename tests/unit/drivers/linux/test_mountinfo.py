"""Reading the mount table as text."""

from pathlib import Path

from drivers.linux import mountinfo

TABLE = (
    b"22 27 0:21 / /proc rw,relatime shared:14 master:2 - proc proc rw\n"
    b"90 27 8:1 /a\\040b /mnt/tab\\011line\\012back\\134 ro - ext4 /dev/sda1 rw,errors=x\n"
    b"91 27 0:5 / /mnt/nosource rw - fuse  rw\n"
)


def test_fields_are_found_behind_any_number_of_optional_ones(tmp_path: Path) -> None:
    (tmp_path / "table").write_bytes(TABLE)
    proc, disk, bare = mountinfo.read(str(tmp_path / "table"))
    assert (proc.id, proc.parent, proc.fstype, proc.source) == (22, 27, "proc", "proc")
    assert (disk.root, disk.target) == ("/a b", "/mnt/tab\tline\nback\\")
    assert (disk.device, disk.options, disk.super_options) == ("8:1", "ro", "rw,errors=x")
    assert (bare.fstype, bare.source, bare.super_options) == ("fuse", "", "rw")


def test_escape_is_undone_by_unescape() -> None:
    text = "a b\tc\nd\\040e"
    assert mountinfo.unescape(mountinfo.escape(text).encode()) == text
    assert " " not in mountinfo.escape(text)


def test_names_that_are_no_text_survive() -> None:
    assert mountinfo.unescape(b"/mnt/\xff").encode(errors="surrogateescape") == b"/mnt/\xff"
