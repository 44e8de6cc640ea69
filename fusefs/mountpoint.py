"""The directory that a tree is mounted on: is it fit, and is it ours alone?

Used by: fusefs.{session,connection,umountverb}. Knows nothing of: FUSE requests, the store, dead
mounts' recovery (fusefs.heldmounts).
Rule: no system call here touches another file system that is mounted there. A dead one answers
ENOTCONN, which naive code reads as an empty directory, and one whose daemon hangs answers never;
the kernel's mount table is asked instead.
"""

import contextlib
import errno
import os
from collections.abc import Iterator
from hashlib import sha256
from typing import Final

from drivers.errors import StorageError
from drivers.linux import mountinfo, recordlock

FSTYPE: Final = "fuse.storagefs"


class MountPointError(StorageError):
    """A directory that nothing can be mounted on now. ``where`` is that directory."""

    def __init__(self, where: str, reason: str, *, remedy: str = "") -> None:
        super().__init__(f"mount point {where}: {reason}", remedy=remedy)
        self.where = where


@contextlib.contextmanager
def claimed(where: str, run_root: str) -> Iterator[None]:
    """Hold the right to mount on *where*; MountPointError if another daemon has it.

    To be held until the mount is visible, and no longer: after a lazy unmount a daemon may serve
    its last users for days. Where the run root cannot be written nothing is held: the kernel's
    table still guards.
    """
    directory = os.path.join(run_root, "storagefs")
    key = sha256(os.fsencode(where)).hexdigest()[:16]
    path = os.path.join(directory, f"at-{key}.lock")
    with contextlib.ExitStack() as held:
        try:
            os.makedirs(directory, mode=0o700, exist_ok=True)
            lock = recordlock.take_file(path)
        except OSError as failure:
            if failure.errno not in (errno.EACCES, errno.EPERM, errno.EROFS):
                raise
        else:
            if lock is None:
                raise MountPointError(
                    where, "another storagefs is just mounting on it", remedy="wait for that one"
                )
            held.callback(recordlock.give_up_file, path, lock)
        yield


def check(where: str, *, roots: tuple[str, ...], nonempty: bool) -> None:
    """Refuse a directory that cannot carry the tree, saying why and what helps.

    *roots* are directories of the store: a tree mounted over them, or inside them, would make the
    daemon wait for itself.
    """
    entry = mountinfo.at(where)
    if entry is not None and entry.fstype.startswith("fuse"):
        verb = "storagefs umount" if entry.fstype == FSTYPE else "umount"
        raise MountPointError(
            where,
            f"busy: {entry.source} ({entry.fstype}) is mounted there",
            remedy=f"{verb} {where}  (with -l if its server is dead)",
        )
    try:
        place = os.path.realpath(where)
        names = os.listdir(where)
    except FileNotFoundError:
        raise MountPointError(where, "does not exist", remedy=f"mkdir -p {where}") from None
    except NotADirectoryError:
        raise MountPointError(where, "is not a directory", remedy="choose a directory") from None
    except OSError as failure:
        raise MountPointError(where, failure.strerror or str(failure)) from failure
    for root in map(os.path.realpath, roots):
        if os.path.commonpath([root, place]) in {root, place}:
            raise MountPointError(
                where, f"overlaps with the store at {root}", remedy="choose a directory elsewhere"
            )
    if names and not nonempty:
        raise MountPointError(
            where, "is not empty", remedy="choose an empty directory, or mount with -o nonempty"
        )
