"""Other owners for a whole chain: a copy on top of it, which becomes the layer's older content.

Used by: drivers.overlay.driver. Knows nothing of: why owners change.

What the Go tools leave is the same (store-format 8.3): diff1 has what was copied up for the change
of owners, diff2 what was diff1 before, and so on; diff is new and empty. A stop in between leaves
a gap, which hides content: the layer is incomplete until this is done.
"""

import os
import stat

from drivers.erase import erase_tree
from drivers.idmap.maps import MapPair
from drivers.idmap.owners import owner_of_root
from drivers.overlay.layout import older_contents
from drivers.ownership import change_owners


def remap(view: int, directory: str, old: MapPair, new: MapPair) -> None:
    """Change the owners in *view*, then put what that copied below what is written from now on.

    *view* is a private writable view of the layer whose directory is *directory*; it is closed.
    """
    try:
        root = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=view)
    finally:
        os.close(view)
    try:
        change_owners(root, old, new)
    finally:
        os.close(root)
    diff = os.path.join(directory, "diff")
    mode = stat.S_IMODE(os.stat(diff).st_mode)
    for path in reversed([diff, *older_contents(directory)]):
        os.rename(path, _next(path))
    root_owner = owner_of_root(*new)
    erase_tree(os.path.join(directory, "work"))  # it knows the old upper directory
    _make(os.path.join(directory, "work"), 0o700, root_owner)
    _make(diff, mode, root_owner)


def _next(path: str) -> str:
    """The name that *path* has after the rotation: diff1 for diff, diff2 for diff1."""
    head, _, number = path.rpartition("diff")
    return f"{head}diff{int(number or 0) + 1}"


def _make(path: str, mode: int, owner: tuple[int, int]) -> None:
    os.mkdir(path, 0o700)
    os.chown(path, *owner)
    os.chmod(path, mode)
