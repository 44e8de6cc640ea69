"""The directory that a tree is mounted on: is it fit, who serves it, is that one still alive?

Used by: fusefs.session, fusefs.cli (umount). Knows nothing of: FUSE requests, the store's records.
Rule: no system call here touches what is mounted there. A dead mount answers ENOTCONN, which
naive code reads as an empty directory, and one whose daemon hangs answers never; the kernel's
mount table is asked instead. That its daemon is dead is known by the daemon's lock.
"""

import errno
import os
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

import filelock

from drivers.errors import StorageError
from drivers.linux import mount, mountinfo

FSTYPE: Final = "fuse.storagefs"


class MountPointError(StorageError):
    """A directory that nothing can be mounted on now. ``where`` is that directory."""

    def __init__(self, where: str, reason: str, *, remedy: str = "") -> None:
        super().__init__(f"mount point {where}: {reason}", remedy=remedy)
        self.where = where


@dataclass(slots=True)
class Claim:
    """The right to mount on one directory, held until released or until the process ends.

    Beside the lock stands a record of the mount that its holder made, so that a later holder can
    tell that mount, whose daemon must be dead, from a stranger's.
    """

    where: str
    record: str
    lock: filelock.FileLock | None

    def note(self, device: str) -> None:
        """Remember the mount that was made here by its device number."""
        if self.lock is not None:
            with open(self.record, "w", encoding="ascii") as file:
                file.write(device)

    def left_behind(self) -> mountinfo.MountEntry | None:
        """The mount that a dead holder of this claim left here."""
        entry = mountinfo.at(self.where)
        if entry is None or entry.fstype != FSTYPE:
            return None
        try:
            with open(self.record, encoding="ascii") as file:
                return entry if file.read() == entry.device else None
        except FileNotFoundError:
            return None

    def release(self) -> None:
        """Give the directory up."""
        if self.lock is not None:
            self.lock.release()


def claim(where: str, run_root: str) -> Claim:
    """Take the right to mount on *where*; MountPointError if another daemon has it.

    Where the run root cannot be written, the claim is empty: the kernel's table still guards.
    """
    directory = os.path.join(run_root, "storagefs")
    key = sha256(os.fsencode(os.path.realpath(os.path.dirname(where)) + "/")).hexdigest()[:16]
    base = os.path.join(directory, f"{os.path.basename(where) or 'root'}-{key}")
    try:
        os.makedirs(directory, mode=0o700, exist_ok=True)
        lock = filelock.FileLock(base + ".lock", mode=0o600)
        lock.acquire(blocking=False)
    except filelock.Timeout:
        raise MountPointError(
            where, "another storagefs serves it", remedy=f"storagefs umount {where}"
        ) from None
    except PermissionError:
        return Claim(where, "", None)
    except OSError as failure:
        if failure.errno != errno.EROFS:
            raise
        return Claim(where, "", None)
    return Claim(where, base + ".mount", lock)


def detach_dead(held: Claim) -> bool:
    """Take away the dead mounts that stand on the claimed directory; whether there was one."""
    found = False
    while held.left_behind() is not None:
        for entry in mountinfo.below(held.where):
            mount.umount(entry.target, mount.MNT_DETACH | mount.UMOUNT_NOFOLLOW)
        mount.umount(held.where, mount.MNT_DETACH | mount.UMOUNT_NOFOLLOW)
        found = True
    return found


def check(where: str, *, roots: tuple[str, ...], nonempty: bool) -> None:
    """Refuse a directory that cannot carry the tree, saying why and what helps.

    *roots* are directories of the store: a tree mounted over them, or inside them, would make the
    daemon wait for itself.
    """
    entry = mountinfo.at(where)
    if entry is not None and entry.fstype.startswith("fuse"):
        raise MountPointError(
            where,
            f"busy: {entry.source} ({entry.fstype}) is mounted there",
            remedy=f"umount {where}  (umount -l if its server is dead)",
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
