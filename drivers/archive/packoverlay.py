"""How overlay notes in a layer's own content what an archive has other words for.

Used by: drivers.archive.pack, drivers.overlay.diffing. Knows nothing of: tar, how layers are found.

Source: store-format 9.3.
"""

import os
import stat
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from drivers.linux import xattr
from drivers.linux.beneath import open_beneath
from drivers.linux.treewalk import GONE

_DIRECTORY: Final = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC


class OverlayMarks(NamedTuple):
    """What is needed to understand them.

    ``prefix`` is that of overlay's attributes; ``lowers`` are the contents of the layers below,
    uppermost first. ``open_merged`` returns a new descriptor of what the layer shows: for files
    and directories whose content is still in a layer below (metacopy, redirect).
    """

    prefix: bytes
    lowers: Sequence[str]
    open_merged: Callable[[], int]

    def attribute(self, name: bytes) -> bytes:
        """Return the full name of one of overlay's attributes."""
        return self.prefix + name

    def hides(self, path: bytes) -> bool:
        """Whether an opaque directory *path* hides anything: the kernel marks every new one.

        As in the Go tools the layers below count one by one: the first that has the path, or
        a removal of it or of what it is in, decides. Where one has directories under other
        names (redirect) the answer is yes: what hides nothing does no harm in an archive.
        """
        for lower in self.lowers:
            root = os.open(lower, _DIRECTORY)
            try:
                shown = self._is_shown(root, path)
            finally:
                os.close(root)
            if shown is not None:
                return shown
        return False

    def _is_shown(self, root: int, path: bytes) -> bool | None:
        """Whether one layer has *path*; False if it removes it, None if it says nothing."""
        status, _ = self._look(root, path)
        if status is not None:
            return not is_whiteout(status)
        while path := path.rpartition(b"/")[0]:
            status, redirected = self._look(root, path)
            if redirected:
                return True
            if status is not None and is_whiteout(status):
                return False
        return None

    def _look(self, root: int, path: bytes) -> tuple[os.stat_result | None, bool]:
        """Return the status of *path*, None if it is not there; and whether it is redirected."""
        try:
            fd = open_beneath(root, path, os.O_PATH, follow_last=True)
        except GONE:
            return None, False
        try:
            redirected = self.attribute(b"redirect") in xattr.names(fd)
            return os.fstat(fd), redirected
        finally:
            os.close(fd)


def is_whiteout(status: os.stat_result) -> bool:
    """Whether a file is overlay's note that a name is removed."""
    return stat.S_ISCHR(status.st_mode) and status.st_rdev == 0
