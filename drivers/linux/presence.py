"""What is there, where "no" must not mean that nobody can tell.

Used by: drivers, backend.{api,store}. Knows nothing of: what for.
"""

from __future__ import annotations

import os


def is_there(path: str) -> bool:
    """Whether *path* is there, be it a link that leads nowhere.

    Raises OSError for a disk that does not answer, a directory that may not be looked into and
    whatever else os.path.lexists takes for absence.
    """
    try:
        os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def nearest_directory(path: str) -> str:
    """Return *path*, else the first directory above it: where it would be made."""
    place = os.path.abspath(path)  # a relative one would lead to "", not to "/"
    while not os.path.isdir(place):
        place = os.path.dirname(place)
    return place
