"""What the layers of the test images hold: every kind of file that a layer can carry.

Used by: tests.support.debian; tests that look for one of the files by its name here.
"""

import os
import stat
import struct
import subprocess
from pathlib import Path

from tests.support.ociimage import Entry

ODD = "srv/odd"
"""Directory of the second layer with one file of each kind."""
REPLACED = "srv/replaced"
"""Directory that the third layer removes and makes anew: opaque."""
DELETED = ("etc/issue", "srv/deleted-tree", "srv/odd/goes")
MANY = 500

_CAP_NET_RAW = 1 << 13
_CAPABILITY = struct.pack("<IIIII", 0x02000001, _CAP_NET_RAW, 0, 0, 0)

SMALL_IMAGE = (
    (
        Entry("bin"),
        Entry("bin/true", b"#!/bin/sh\nexit 0\n", mode=0o755),
        Entry("etc"),
        Entry("etc/motd", b"hello\n"),
        Entry("etc/gone", b"deleted by the next layer\n"),
        Entry("opt"),
        Entry("opt/old", b"hidden by the opaque directory\n"),
    ),
    (
        Entry("etc"),
        Entry("etc/.wh.gone", b""),
        Entry("etc/motd", b"hello again\n"),
        Entry("etc/link", link="motd"),
        Entry("opt"),
        Entry("opt/.wh..wh..opq", b""),
        Entry("opt/new", b"new\n"),
    ),
)


def add_and_change(root: Path) -> None:
    """The second layer: one file of each kind, and changes to files of the first."""
    odd = root / ODD
    odd.mkdir(parents=True)
    _regular_files(odd)
    _links_and_devices(odd)
    _odd_names(os.fsencode(odd))
    _odd_times(odd)
    many = root / "srv/many"
    many.mkdir()
    for number in range(MANY):
        (many / f"file-{number:04}").write_text(f"{number}\n")
    for name in ("one", "two"):
        (root / REPLACED / "sub").mkdir(parents=True, exist_ok=True)
        (root / REPLACED / name).write_text(f"{name} from below\n")
        (root / "srv/deleted-tree" / name).mkdir(parents=True)
    (root / "srv/was-directory").mkdir()
    (root / "srv/was-file").write_text("a file\n")
    with (root / "etc/debian_version").open("a") as version:
        version.write("changed\n")
    (root / "etc/passwd").chmod(0o600)


def _regular_files(odd: Path) -> None:
    for name in ("setuid", "capable", "attributes", "goes", "empty"):
        (odd / name).write_bytes(b"" if name == "empty" else name.encode() * 100)
    os.chown(odd / "setuid", 1000, 2000)
    (odd / "setuid").chmod(0o6751)
    os.setxattr(odd / "capable", "security.capability", _CAPABILITY)
    os.setxattr(odd / "attributes", "user.color", b"blue")
    os.setxattr(odd / "attributes", "user.binary", bytes(range(256)))
    with (odd / "sparse").open("wb") as sparse:
        sparse.seek(8 << 20)
        sparse.write(b"end")


def _links_and_devices(odd: Path) -> None:
    (odd / "hard-a").write_text("linked\n")
    (odd / "hard-b").hardlink_to(odd / "hard-a")
    (odd / "absolute").symlink_to("/etc/debian_version")
    (odd / "relative").symlink_to("../../etc/debian_version")
    (odd / "dangling").symlink_to("nowhere")
    os.mkfifo(odd / "fifo", 0o640)
    os.mknod(odd / "null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    os.mknod(odd / "loop", stat.S_IFBLK | 0o660, os.makedev(7, 0))
    os.chown(odd / "absolute", 1000, 1000, follow_symlinks=False)


def _odd_names(odd: bytes) -> None:
    for name in (b"caf\xe9", b"new\nline", b"back\\slash %2F", b" ", b"n" * 255):
        Path(os.fsdecode(odd + b"/" + name)).write_bytes(name)


def _odd_times(odd: Path) -> None:
    for name, when in {"epoch": 0, "before-epoch": -86_400, "nanoseconds": 10**18 + 123}.items():
        (odd / name).write_text(name)
        os.utime(odd / name, ns=(when, when))
    os.utime(odd / "dangling", ns=(5 * 10**9, 5 * 10**9), follow_symlinks=False)


def delete_and_replace(root: Path) -> None:
    """The third layer: deletions, a replaced directory, files and directories that change kind."""
    doomed = [*DELETED, REPLACED, "srv/was-directory", "srv/was-file"]
    subprocess.run(["rm", "-r", *doomed], cwd=root, check=True, timeout=60)
    (root / REPLACED).mkdir()
    (root / REPLACED / "two").write_text("two from above\n")
    (root / "srv/was-directory").symlink_to("odd")
    (root / "srv/was-file").mkdir()  # empty: Go's `changes` fails on what is in such a directory
