"""Overlays that a program mounts (fuse-overlayfs), where the kernel cannot or should not.

Used by: drivers.overlay.{driver,views}. Knows nothing of: chains of layers, who counts mounts.

Which program it is says drivers.overlay.programnote.
"""

import errno
import os
from itertools import pairwise
from typing import Final

from drivers.errors import DriverNotSupportedError, MountFailedError
from drivers.idmap.maps import IDMap, MapPair
from drivers.linux import capability, mount
from drivers.overlay.mountdata import OverlayMount
from drivers.overlay.mounting import unmount

_SECONDS: Final = 60
_SHOWN: Final = 500


def mount_at(program: str, home: str, target: str, overlay: OverlayMount, maps: MapPair) -> None:
    """Let *program* mount at *target*. It goes on in the background as long as the mount lives."""
    if overlay.has_separators():
        raise MountFailedError(
            program, target, errno.EINVAL, detail="a path has a comma or a colon"
        )
    import subprocess

    data = ",".join((overlay.program_data(), *_mapping("uid", maps[0]), *_mapping("gid", maps[1])))
    try:
        done = subprocess.run(
            [program, "-o", data, target],
            cwd=home,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise MountFailedError(program, target, errno.ETIMEDOUT) from None
    except OSError as refused:
        raise MountFailedError(program, target, refused.errno or errno.EIO) from refused
    if done.returncode != 0:
        said = done.stderr.decode(errors="replace").strip()[-_SHOWN:]
        raise MountFailedError(program, target, errno.EIO, detail=said)


def mount_detached(
    program: str, home: str, aside: str, overlay: OverlayMount, maps: MapPair
) -> int:
    """Return a descriptor of what *program* mounts in a directory of *aside* for a moment."""
    if not capability.can_mount():
        raise DriverNotSupportedError(
            "overlay",
            f"a private view by {program} needs privileges",
            remedy="run it in the user namespace of the store: podman unshare COMMAND",
        )
    place = os.path.join(aside, f"view-{os.urandom(8).hex()}")
    os.makedirs(place, 0o700)
    try:
        mount_at(program, home, place, overlay, maps)
        try:
            fd = mount.open_tree(place, clone=True)
        finally:
            unmount(place)
    finally:
        os.rmdir(place)
    try:
        mount.set_attributes(fd, set=overlay.attributes())
    except BaseException:
        os.close(fd)
        raise
    return fd


def shifts(maps: MapPair) -> bool:
    """Whether a program can show layers under these IDs: it takes one piece of each kind."""
    return all(map(_is_contiguous, maps))


def _is_contiguous(ranges: tuple[IDMap, ...]) -> bool:
    ordered = sorted(ranges, key=lambda entry: entry.host_id)
    return all(
        (one.host_id + one.size, one.container_id + one.size) == (next_.host_id, next_.container_id)
        for one, next_ in pairwise(ordered)
    )


def _mapping(kind: str, ranges: tuple[IDMap, ...]) -> list[str]:
    if not ranges:
        return []
    if len(ranges) == 1 and ranges[0].size == 1:
        return [f"squash_to_{kind}={ranges[0].host_id}"]
    return [f"{kind}mapping=" + ":".join(str(number) for entry in ranges for number in entry)]
