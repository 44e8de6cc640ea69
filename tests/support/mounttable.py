"""The kernel's mount table, and unmounting what a test left, without touching dead mounts.

Used by: the fixtures and the sweep of tests/conftest.py, tests that count mounts.
Its own reader of mountinfo on purpose: the tests must not trust the code under test.
"""

import ctypes
import os
import re
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

MNT_DETACH = 2
UMOUNT_NOFOLLOW = 8

_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True, slots=True)
class Mount:
    """One line of /proc/self/mountinfo."""

    id: int
    parent: int
    device: str
    target: str
    options: str
    fstype: str
    source: str
    super_options: str


def _plain(field: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), field)


def read() -> list[Mount]:
    """Every mount of this process's namespace, in the kernel's order."""
    lines = Path("/proc/self/mountinfo").read_bytes().decode("utf-8", "surrogateescape")
    return [_parse(line) for line in lines.splitlines()]


def _parse(line: str) -> Mount:
    front, _, back = line.partition(" - ")
    words, tail = front.split(" "), back.split(" ")
    return Mount(
        int(words[0]),
        int(words[1]),
        words[2],
        _plain(words[4]),
        words[5],
        tail[0],
        _plain(tail[1]),
        tail[2],
    )


def below(directory: str | os.PathLike[str]) -> list[Mount]:
    """Mounts on *directory* or under it, deepest and latest first."""
    top = os.fspath(directory)
    found = [m for m in read() if m.target == top or m.target.startswith(top.rstrip("/") + "/")]
    return sorted(found, key=lambda m: (m.target.count("/"), m.id), reverse=True)


def at(target: str | os.PathLike[str]) -> Mount | None:
    """The topmost mount on exactly *target*."""
    found = [mount for mount in read() if mount.target == os.fspath(target)]
    return found[-1] if found else None


def detach(target: str) -> None:
    """umount2(MNT_DETACH): lazily, never following a symlink, never asking the file system."""
    flags = MNT_DETACH | UMOUNT_NOFOLLOW
    if _libc.umount2(os.fsencode(target), flags) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), target)


def abort_fuse(target: str | os.PathLike[str]) -> None:
    """Break the connection of the FUSE mount on *target*: every call that hangs in it fails.

    The only way to end callers that wait for an answer: no signal reaches them.
    """
    mount = at(target)
    if mount is None or not mount.fstype.startswith("fuse"):
        return
    with tempfile.TemporaryDirectory(prefix="fusectl-") as control:
        subprocess.run(["mount", "-t", "fusectl", "none", control], check=True, timeout=20)
        try:
            minor = mount.device.partition(":")[2]
            Path(control, minor, "abort").write_text("1\n")
        finally:
            detach(control)


def unmount_below(directory: str | os.PathLike[str]) -> list[Mount]:
    """Detach every mount on or under *directory*; return those that were there."""
    removed: list[Mount] = []
    for _ in range(5):  # a mount can hide others, and a dying daemon can unmount meanwhile
        found = below(directory)
        if not found:
            break
        removed += found
        for mount in found:
            try:
                detach(mount.target)
            except OSError:
                continue
    return removed
