"""``storagefs umount`` of a tree: native mounts first; who is in the way if it is busy.

Used by: backend.cli.command. Knows nothing of: the daemon, which ends by itself.
"""

import errno
import os
import select
from typing import Final

from backend.cli import mounting
from backend.cli.request import Request
from drivers.errors import StorageError
from drivers.linux import capability, mount, mountinfo
from fusefs import fusermount
from fusefs.holders import holders
from fusefs.mountpoint import FSTYPE
from fusefs.mountverb import USAGE_FAILED, resolved
from fusefs.verbs import are_places

_FAILED: Final = 32
_DAEMON: Final = b"fusefs.daemon"
_DAEMON_SECONDS: Final = 10


class BusyError(StorageError):
    """Somebody uses the tree."""


def run(request: Request) -> int:
    """Unmount; exit codes are those of umount(8). What is no path is an object."""
    arguments = request.line.arguments
    if not are_places(arguments):
        return _unmount_objects(request)
    if len(arguments) > 1:
        request.output.error(f"{arguments[1]!r} is too much: one MOUNTPOINT at a time")
        return USAGE_FAILED
    where = resolved(arguments[0])
    try:
        _check_is_ours(where)
        lazy = request.values.on("lazy")
        served_by = [] if lazy else _daemons(where)  # after a lazy one it serves the last users
        _take_away(where, lazy=lazy)
        _wait_for_end(served_by)
    except StorageError as error:
        request.output.error(str(error), error.remedy)
    except OSError as error:
        request.output.error(f"{where}: {error.strerror or error}")
    else:
        return 0
    return _FAILED


def _unmount_objects(request: Request) -> int:
    exit_code = mounting.unmount(request)
    name = request.line.arguments[-1]
    entry = mountinfo.at(resolved(name)) if exit_code else None
    if entry is not None and entry.fstype == FSTYPE:
        remedy = f"to take the tree there away, run: storagefs umount ./{name}"
        request.output.error(f"{name} is a directory here", remedy)
    return exit_code


def _check_is_ours(where: str) -> None:
    entry = mountinfo.at(where)
    if entry is None or entry.fstype != FSTYPE:
        found = [entry.target for entry in mountinfo.read() if entry.fstype == FSTYPE]
        places = f"mounted ones: {', '.join(found)}" if found else "none is mounted anywhere"
        raise StorageError(f"{where}: no storagefs is mounted there", remedy=places)


def _daemons(where: str) -> list[int]:
    """Descriptors (pidfd) of the background processes that serve *where*."""
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{name}/cmdline", "rb") as file:
                words = file.read().split(b"\0")
            if _DAEMON in words and os.fsencode(where) in words:
                found.append(os.pidfd_open(int(name)))
        except OSError:  # it has ended, or is not ours to look into
            continue
    return found


def _wait_for_end(processes: list[int]) -> None:
    """Wait until the mount counts are given back, which a daemon does before it ends."""
    for process in processes:
        select.select([process], [], [], _DAEMON_SECONDS)
        os.close(process)


def _take_away(where: str, *, lazy: bool) -> None:
    if not capability.can_mount():
        _by_helper(where, lazy=lazy)
        return
    for entry in mountinfo.below(where):
        _unmount(entry.target, where, lazy=lazy)
    _unmount(where, where, lazy=lazy)


def _unmount(target: str, where: str, *, lazy: bool) -> None:
    flags = mount.UMOUNT_NOFOLLOW | (mount.MNT_DETACH if lazy else 0)
    try:
        mount.umount(target, flags)
    except OSError as error:
        if error.errno == errno.EBUSY:
            raise _busy(where) from error
        if mountinfo.at(target) is not None:  # an idle one may have gone by itself
            raise


def _busy(where: str) -> BusyError:
    found = ", ".join(map(str, holders(where)))
    return BusyError(
        f"{where} is busy: {found or 'in use by a process of another mount namespace'}",
        remedy=f"end that use, or run: storagefs umount -l {where}",
    )


def _by_helper(where: str, *, lazy: bool) -> None:
    try:
        fusermount.unmount(where, lazy=lazy)
    except fusermount.HelperError as error:
        if error.busy:
            raise _busy(where) from error
        raise
