"""The content of a layer that exists and is empty: prepared elsewhere, then moved into it.

Used by: drivers.overlay.driver. Knows nothing of: archives, records, who calls when.
The layer's directory itself stays, because mounts and views have it open; it takes over what the
archive says of the root.
"""

import os
import shutil

from drivers.errors import LayerDirectoryError
from drivers.ids import LayerID
from drivers.linux import atomicfile


def is_empty(directory: str) -> bool:
    """Whether nothing is in *directory*."""
    with os.scandir(directory) as entries:
        return next(entries, None) is None


def prepare(diff: str, content: str) -> None:
    """Make the directory *content* like the empty *diff*."""
    os.mkdir(content, 0o700)
    _copy_attributes(diff, content)


def fill(layer: LayerID, diff: str, content: str, *, sync: bool) -> None:
    """Move all that is in *content* to *diff*, which must still be empty."""
    if not is_empty(diff):
        reason = "something was put into it while the archive was read"
        raise LayerDirectoryError(layer, diff, reason, remedy="apply the archive again")
    status = os.stat(content)  # its times, before the moves change them
    for name in os.listdir(content):
        os.rename(os.path.join(content, name), os.path.join(diff, name))
    _copy_attributes(content, diff)
    os.utime(diff, ns=(status.st_atime_ns, status.st_mtime_ns))
    if sync:
        atomicfile.sync_directory(diff)


def _copy_attributes(source: str, target: str) -> None:
    status = os.stat(source)
    os.chown(target, status.st_uid, status.st_gid)
    shutil.copystat(source, target)
