"""Mounting: mount(2), umount2(2) and the mount API of Linux 5.2 and later.

Used by: drivers that mount, drivers.erase, fusefs. Knows nothing of: layers, overlay's options.
All functions raise OSError with errno and path. Descriptors are close-on-exec.
"""

import errno
import os
import struct
from collections.abc import Sequence
from typing import Final

from drivers.linux import capability, syscalls
from drivers.linux.syscalls import AT_EMPTY_PATH, AT_FDCWD

MS_RDONLY: Final = 0x1
MS_NOSUID: Final = 0x2
MS_NODEV: Final = 0x4
MS_NOEXEC: Final = 0x8
MS_SYNCHRONOUS: Final = 0x10
MS_DIRSYNC: Final = 0x80
MS_NOATIME: Final = 0x400
MS_NODIRATIME: Final = 0x800
MS_BIND: Final = 0x1000
MS_PRIVATE: Final = 0x40000
MS_RELATIME: Final = 0x200000
MS_STRICTATIME: Final = 0x1000000

MNT_DETACH: Final = 0x2
MNT_EXPIRE: Final = 0x4
UMOUNT_NOFOLLOW: Final = 0x8

MOUNT_ATTR_RDONLY: Final = 0x1
MOUNT_ATTR_NOSUID: Final = 0x2
MOUNT_ATTR_NODEV: Final = 0x4
MOUNT_ATTR_NOEXEC: Final = 0x8
MOUNT_ATTR_NOATIME: Final = 0x10
MOUNT_ATTR_STRICTATIME: Final = 0x20
MOUNT_ATTR_NODIRATIME: Final = 0x80
_MOUNT_ATTR_IDMAP: Final = 0x100000

_OPEN_TREE_CLONE: Final = 0x1
_AT_NO_AUTOMOUNT: Final = 0x800
_MOVE_MOUNT_F_EMPTY_PATH: Final = 0x4
_FSOPEN_CLOEXEC: Final = 0x1
_FSMOUNT_CLOEXEC: Final = 0x1
_SET_FLAG, _SET_STRING, _SET_FD, _CREATE = 0, 1, 5, 6

_ATTRIBUTES: Final = struct.Struct("=QQQQ")  # to set, to clear, propagation, user namespace


def mount(source: str, target: str, fstype: str, flags: int, data: str) -> None:
    """mount(2). *data* must be shorter than a page (the kernel cuts it silently otherwise)."""
    encoded = os.fsencode(data)
    if len(encoded) >= os.sysconf("SC_PAGE_SIZE"):
        raise syscalls.error(errno.E2BIG, target, "mount data longer than a page")
    names = os.fsencode(source), os.fsencode(target), fstype.encode()
    syscalls.function("mount", *names, flags, encoded or None, path=target)


def umount(target: str, flags: int = 0) -> None:
    """umount2(2)."""
    syscalls.function("umount2", os.fsencode(target), flags, path=target)


def bind(source: str, target: str) -> None:
    """Show *source* at *target* as well."""
    mount(source, target, "", MS_BIND, "")


def make_private(target: str) -> None:
    """Keep mounts below *target* from spreading to other mount namespaces, and theirs to us."""
    mount("", target, "", MS_PRIVATE, "")


def new_mount(
    fstype: str,
    options: Sequence[tuple[str, str | int | None]],
    *,
    attributes: int = 0,
    source: str = "",
) -> int:
    """Mount a file system nowhere and return its descriptor.

    An option's value is a text, a descriptor (int) or, for a flag, None. What the kernel logged
    about a refusal is in the error's text. Closing the descriptor unmounts, unless it was
    attached by :func:`move_mount`.
    """
    context = syscalls.call(syscalls.FSOPEN, fstype.encode(), _FSOPEN_CLOEXEC, path=fstype)
    try:
        if source:
            _configure(context, "source", source)
        for key, value in options:
            _configure(context, key, value)
        syscalls.call(syscalls.FSCONFIG, context, _CREATE, None, None, 0)
        return syscalls.call(syscalls.FSMOUNT, context, _FSMOUNT_CLOEXEC, attributes)
    except OSError as failure:
        detail = _log(context)
        raise syscalls.error(
            failure.errno or errno.EIO, failure.filename or fstype, detail
        ) from None
    finally:
        os.close(context)


def _configure(context: int, key: str, value: str | int | None) -> None:
    name = key.encode()
    match value:
        case None:
            syscalls.call(syscalls.FSCONFIG, context, _SET_FLAG, name, None, 0, path=key)
        case int():
            syscalls.call(
                syscalls.FSCONFIG, context, _SET_FD, name, None, value, path=f"{key}=fd {value}"
            )
        case _:
            text = os.fsencode(value)
            path = f"{key}={value}"
            syscalls.call(syscalls.FSCONFIG, context, _SET_STRING, name, text, 0, path=path)


def _log(context: int) -> str:
    """Return what the kernel has to say about the last failure, for people."""
    messages = []
    try:
        while line := os.read(context, 4096):
            messages.append(line.decode(errors="replace").strip().removeprefix("e "))
    except OSError:  # ENODATA: that was all
        pass
    return "; ".join(messages)


def open_tree(path: str, *, clone: bool = False) -> int:
    """Return an O_PATH descriptor of *path*, or with *clone* of a detached copy of its mount."""
    flags = os.O_CLOEXEC | _AT_NO_AUTOMOUNT | (_OPEN_TREE_CLONE if clone else 0)
    return syscalls.call(syscalls.OPEN_TREE, AT_FDCWD, os.fsencode(path), flags, path=path)


def set_attributes(fd: int, *, set: int) -> None:  # noqa: A002 - the word of the system call
    """Set MOUNT_ATTR_* of the mount that *fd* is the root of."""
    request = _ATTRIBUTES.pack(set, 0, 0, 0)
    size, path = len(request), f"fd {fd}"
    syscalls.call(syscalls.MOUNT_SETATTR, fd, b"", AT_EMPTY_PATH, request, size, path=path)


def mapped_copy(path: str, user_namespace: int) -> int:
    """Return a detached, private copy of the mount below *path* that shows other owners.

    What is stored under an ID of the namespace is shown under the ID that it has outside.
    """
    fd = open_tree(path, clone=True)
    try:
        request = _ATTRIBUTES.pack(_MOUNT_ATTR_IDMAP, 0, MS_PRIVATE, user_namespace)
        size = len(request)
        syscalls.call(syscalls.MOUNT_SETATTR, fd, b"", AT_EMPTY_PATH, request, size, path=path)
    except BaseException:
        os.close(fd)
        raise
    return fd


def read_only_copy(path: str) -> int:
    """Return a detached copy of the mount below *path*: read-only, nosuid and nodev.

    Where this process may not mount it is the directory itself: whoever has it must not write.
    """
    if not capability.can_mount():
        return os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    fd = open_tree(path, clone=True)
    try:
        set_attributes(fd, set=MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV)
    except BaseException:
        os.close(fd)
        raise
    return fd


def move_mount(fd: int, target: str | bytes, *, dir_fd: int = AT_FDCWD) -> None:
    """Attach the detached mount *fd* at *target* (empty: at the directory *dir_fd* itself)."""
    name = os.fsencode(target)
    flags = _MOVE_MOUNT_F_EMPTY_PATH | (0 if name else 0x40)
    syscalls.call(syscalls.MOVE_MOUNT, fd, b"", dir_fd, name, flags, path=name)
