"""What this machine can do, probed once: gates tests by mark and names what did not run.

Used by: tests/conftest.py (marks, summary), scripts/bench.
A probe returns the reason why the capability is missing, or "" where it is there.
"""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path

from tests.support import btrfs, mounttable, process, rootless

GO_TOOLS = ("containers-storage", "podman", "buildah", "skopeo")


def _root() -> str:
    return "" if os.geteuid() == 0 else "not root"


def _overlay() -> str:
    if reason := _root():
        return reason
    with tempfile.TemporaryDirectory(prefix="storagefs-probe-") as base:
        parts = {name: Path(base, name) for name in ("lower", "upper", "work", "merged")}
        for part in parts.values():
            part.mkdir()
        data = "lowerdir={lower},upperdir={upper},workdir={work}".format_map(parts)
        command = ["mount", "-t", "overlay", "overlay", "-o", data, str(parts["merged"])]
        done = subprocess.run(command, capture_output=True, check=False, timeout=20)
        if done.returncode != 0:
            return f"no overlay mount in {base}: {os.fsdecode(done.stderr).strip()}"
        mounttable.unmount_below(base)
        return ""


def _fuse() -> str:
    if reason := _root():
        return reason
    try:
        os.close(os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC))
    except OSError as error:
        return f"/dev/fuse: {error.strerror}"
    if shutil.which("fusermount3") is None:
        return "fusermount3 is not installed (Debian package fuse3)"
    return ""


def _gotools() -> str:
    return _not_installed(*GO_TOOLS)


def _shells() -> str:
    return _not_installed("bash", "zsh", "fish", "man")


def _mount_program() -> str:
    return _fuse() or _not_installed("fuse-overlayfs")


def _not_installed(*programs: str) -> str:
    missing = [program for program in programs if shutil.which(program) is None]
    return f"not installed: {', '.join(missing)}" if missing else ""


def _debian_image() -> str:
    if reason := _overlay() or _gotools():
        return reason
    return "" if shutil.which("mmdebstrap") else "mmdebstrap is not installed"


def _rootless() -> str:
    return _fuse() or rootless.missing()


def _loop() -> str:
    if shutil.which("mkfs.ext4") is None:
        return "mkfs.ext4 is not installed (Debian package e2fsprogs)"
    found = process.run(["losetup", "--find"], check=False)
    return "" if found.returncode == 0 else "there is no free loop device"


PROBES: Mapping[str, Callable[[], str]] = {
    "root": _root,
    "overlay": _overlay,
    "fuse": _fuse,
    "rootless": _rootless,
    "gotools": _gotools,
    "shells": _shells,
    "mount_program": _mount_program,
    "debian_image": _debian_image,
    "btrfs": btrfs.missing,
    "loop": _loop,
}


@cache
def missing(name: str) -> str:
    """Why the capability *name* is not there; "" if it is."""
    return PROBES[name]()
