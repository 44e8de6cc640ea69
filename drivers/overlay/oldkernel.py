"""Mounting overlays on kernels that cannot take lower directories one by one (before 6.8).

Used by: drivers.overlay.mounting, after the newer way was refused. Knows nothing of: layers.

mount(2) takes one page of text. Directories named by descriptors make it short enough for some
two hundred layers, and take any path.
"""

import contextlib
import os

from drivers.linux import mount
from drivers.overlay.mountdata import OverlayMount


def mount_by_descriptors(target: str, overlay: OverlayMount) -> None:
    """Mount at *target*, each directory named by an open descriptor."""
    with contextlib.ExitStack() as opened:

        def named(path: str) -> str:
            fd = os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
            opened.callback(os.close, fd)
            return f"/proc/self/fd/{fd}"

        short = overlay._replace(
            lowers=tuple(map(named, overlay.lowers)),
            upper=overlay.upper and named(overlay.upper),
            work=overlay.work and named(overlay.work),
        )
        mount.mount("overlay", target, "overlay", overlay.flags, short.data())


def mount_aside(directory: str, overlay: OverlayMount) -> int:
    """Return the descriptor of an overlay that was visible in *directory* for a moment only."""
    place = os.path.join(directory, f"view-{os.urandom(8).hex()}")
    os.makedirs(place, 0o700)
    try:
        mount_by_descriptors(place, overlay)
        try:
            return mount.open_tree(place, clone=True)
        finally:
            mount.umount(place, mount.MNT_DETACH)
    finally:
        os.rmdir(place)
