"""What others, or we, left half made in a home: HOME/staging and HOME/tempdirs.

Used by: drivers.overlay.driver. Knows nothing of: archives, records.

Newer Go tools stage layers in HOME/staging/RANDOM/dir and hold RANDOM/staging.lock as long as they
live, so what can be locked was left by a dead process. We use tempdirs (drivers.staged).
"""

import contextlib
import os
import time
from typing import Final

from drivers.erase import erase_tree
from drivers.linux import recordlock
from drivers.trash import recover_stale

_LOCK: Final = "staging.lock"
_YOUNG: Final = 60
"""Seconds in which a directory without a lock may still be about to get one."""


def prune(home: str) -> bool:
    """Erase what dead processes left in *home*; return whether nobody is making anything there."""
    recover_stale(os.path.join(home, "tempdirs"))
    root = os.path.join(home, "staging")
    with contextlib.suppress(FileNotFoundError):
        for name in os.listdir(root):
            _prune_one(os.path.join(root, name))
    with contextlib.suppress(OSError):
        os.rmdir(root)
    return not any(os.path.exists(os.path.join(home, name)) for name in ("tempdirs", "staging"))


def _prune_one(directory: str) -> None:
    try:
        lock = os.open(os.path.join(directory, _LOCK), os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    except (FileNotFoundError, NotADirectoryError):
        if _is_old(directory):
            erase_tree(directory)
        return
    try:
        if recordlock.try_lock(lock, exclusive=True):
            erase_tree(os.path.join(directory, "dir"))  # first: the lock says whose it is
            erase_tree(directory)
    finally:
        os.close(lock)


def _is_old(path: str) -> bool:
    try:
        return time.time() - os.lstat(path).st_mtime > _YOUNG
    except FileNotFoundError:
        return False
