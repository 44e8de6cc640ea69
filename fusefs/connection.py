"""One connection to the kernel: made, shown at the mount point, taken down.

Used by: fusefs.{serving,session}. Knows nothing of: requests, nodes, the store.

With CAP_SYS_ADMIN the mount is made detached, with all its options, and moved to the mount point
when the kernel and we have agreed on the protocol; so nobody ever sees half a mount. Without it
the setuid helper of FUSE mounts at once, and whoever is early waits.
"""

import contextlib
import os
from dataclasses import dataclass

import pyfuse3

from drivers.linux import capability, mount, mountinfo
from fusefs import fusermount
from fusefs.mountpoint import FSTYPE

_ABORT = "/sys/fs/fuse/connections/{}/abort"
_LONGEST_SOURCE = 255
"""Bytes of a value that fsconfig(2) takes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """What the mount looks like in the kernel's table, and who may use it."""

    source: str
    read_only: bool
    allow_other: bool


class Connection:
    """The FUSE session of this process; there can be one."""

    def __init__(self, operations: pyfuse3.Operations, where: str, kind: Kind) -> None:
        self.where = where
        self.device = ""
        """``major:minor`` of the mounted file system, once it is attached."""
        self._detached = -1
        self._by_helper = not capability.can_mount()
        if self._by_helper:
            self._descriptor = fusermount.mount(where, _helper_options(kind))
        else:
            self._descriptor = os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC)
            self._detached = _detached_mount(self._descriptor, kind)
        pyfuse3.init(operations, f"/dev/fd/{self._descriptor}", set())

    def attach(self) -> None:
        """Show the tree at the mount point. Blocks; touches the mount point's parents only."""
        if self._detached >= 0:
            mount.move_mount(self._detached, self.where)
            number = mountinfo.mount_id(self._detached)
            os.close(self._detached)
            self._detached = -1
            entry = next((one for one in mountinfo.read() if one.id == number), None)
        else:
            entry = mountinfo.at(self.where)
        self.device = entry.device if entry is not None else ""

    def is_attached(self) -> bool:
        """Whether our mount is what one sees at the mount point."""
        entry = mountinfo.at(self.where)
        return bool(self.device) and entry is not None and entry.device == self.device

    def unmount(self) -> None:
        """Take the tree away, from who has it open as well. Blocks; never from the event loop."""
        if not self.is_attached():
            return
        if self._by_helper:
            self._unmount_by_helper()
            return
        try:
            mount.umount(self.where, mount.UMOUNT_NOFOLLOW)
        except OSError:
            if self.is_attached():
                mount.umount(self.where, mount.MNT_DETACH | mount.UMOUNT_NOFOLLOW)

    def _unmount_by_helper(self) -> None:
        try:
            fusermount.unmount(self.where, lazy=True)
        except fusermount.HelperError:
            if self.is_attached():
                raise

    def abort(self) -> None:
        """Give everyone who waits for us, or will ask, an error at once. The mount stays, dead.

        An empty directory in its place could make a mirror tool delete the other side.
        """
        minor = self.device.partition(":")[2]
        with contextlib.suppress(OSError), open(_ABORT.format(minor or "none"), "w") as file:
            file.write("1")
        with contextlib.suppress(OSError), open(os.devnull, "rb") as nothing:
            os.dup2(nothing.fileno(), self._descriptor, inheritable=False)

    def close(self) -> None:
        """End the session. After this no function of pyfuse3 may be called."""
        if self._detached >= 0:
            os.close(self._detached)
            self._detached = -1
        pyfuse3.close(unmount=False)
        if self._by_helper and not self.device:  # nobody ever saw more than a mount that hangs
            with contextlib.suppress(fusermount.HelperError):
                fusermount.unmount(self.where, lazy=True)


def _detached_mount(descriptor: int, kind: Kind) -> int:
    options: list[tuple[str, str | int | None]] = [
        ("fd", str(descriptor)),
        ("rootmode", "40700"),
        ("user_id", str(os.geteuid())),
        ("group_id", str(os.getegid())),
        ("subtype", FSTYPE.partition(".")[2]),
        ("default_permissions", None),
    ]
    if kind.allow_other:
        options.append(("allow_other", None))
    attributes = mount.MOUNT_ATTR_NOSUID | mount.MOUNT_ATTR_NODEV
    if kind.read_only:
        options.append(("ro", None))
        attributes |= mount.MOUNT_ATTR_RDONLY
    source = kind.source if len(os.fsencode(kind.source)) <= _LONGEST_SOURCE else "storagefs"
    return mount.new_mount("fuse", options, attributes=attributes, source=source)


def _helper_options(kind: Kind) -> list[str]:
    """What the helper is asked for. It wants ASCII, and commas escaped."""
    name = _plain(kind.source)
    options = ["default_permissions", "nosuid", "nodev", "subtype=storagefs", f"fsname={name}"]
    if kind.allow_other:
        options.append("allow_other")
    if kind.read_only:
        options.append("ro")
    return options


def _plain(path: str) -> str:
    escaped = path.replace("\\", "\\\\").replace(",", "\\,")
    return os.fsencode(escaped).decode("ascii", "backslashreplace")
