"""Who owns on disk what belongs to the root of a container.

Used by: drivers, for the directories that they make. Knows nothing of: layers.
"""

import os

from drivers.idmap.maps import IDMap, to_host


def owner_of_root(uid_map: tuple[IDMap, ...], gid_map: tuple[IDMap, ...]) -> tuple[int, int]:
    """Return (user, group). Where maps say nothing it is the root that this process knows.

    For a user outside of the own namespace that is the user: inside, the same files are root's.
    """
    user, group = os.geteuid(), os.getegid()
    root = (user, group) if user else (0, 0)
    return to_host(0, uid_map) or root[0], to_host(0, gid_map) or root[1]
