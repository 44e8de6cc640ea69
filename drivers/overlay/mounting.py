"""Making and undoing overlay mounts.

Used by: drivers.overlay.driver and its parts. Knows nothing of: chains of layers.

A mount that Go tools may meet is made with mount(2), so that the mount table shows what they
would have written there; where that text would not fit into a page, or a path contains what
separates paths, the mount API of Linux 6.8 takes one lower directory at a time. Older kernels
get what drivers.overlay.oldkernel does.
"""

import contextlib
import errno
import os
from collections.abc import Iterator, Sequence
from typing import Final

from drivers.erase import erase_tree
from drivers.errors import MountFailedError
from drivers.linux import mount, mountinfo
from drivers.overlay.mountdata import OverlayMount
from drivers.overlay.oldkernel import mount_aside, mount_by_descriptors

_LONGEST_SETTING: Final = 255
_DIRECTORIES: Final = ("lowerdir+", "upperdir", "workdir")
_STACKED: Final = 16
_NOT_RENEWED: Final = (
    errno.ENOSPC,
    errno.EDQUOT,
    errno.ENOENT,
    errno.EROFS,
    errno.ENOTEMPTY,
    errno.EEXIST,
)


def mount_at(target: str, overlay: OverlayMount) -> None:
    """Mount at *target*."""
    data = overlay.data()
    if len(os.fsencode(data)) < os.sysconf("SC_PAGE_SIZE") and not overlay.has_separators():
        try:
            mount.mount("overlay", target, "overlay", overlay.flags, data)
        except OSError as refused:
            raise _failed(target, refused, options=overlay.options) from refused
        return
    try:
        fd = _mount_by_settings(overlay)
        try:
            mount.move_mount(fd, target)
        finally:
            os.close(fd)
    except OSError as refused:
        with _or_else(refused, target):
            mount_by_descriptors(target, overlay)


def mount_detached(overlay: OverlayMount, aside: str) -> int:
    """Return the descriptor of an overlay that is mounted nowhere.

    Kernels before 6.8 need a directory, *aside*, in which it can be for a moment. Only for those
    who may mount; drivers.overlay.detached is for all.
    """
    try:
        return _mount_by_settings(overlay)
    except OSError as refused:
        with _or_else(refused, "a private place"):
            return mount_aside(aside, overlay)


@contextlib.contextmanager
def _or_else(refused: OSError, target: str) -> Iterator[None]:
    """Try another way if the kernel may not know the first one; report the first refusal."""
    if refused.errno != errno.EINVAL:
        raise _failed(target, refused) from refused
    try:
        yield
    except OSError:
        raise _failed(target, refused) from refused


def _mount_by_settings(overlay: OverlayMount) -> int:
    with contextlib.ExitStack() as opened:
        settings = [(key, _plain(key, value, opened)) for key, value in overlay.settings()]
        return mount.new_mount(
            "overlay", settings, attributes=overlay.attributes(), source="overlay"
        )


def _plain(key: str, value: str | None, opened: contextlib.ExitStack) -> str | None:
    """Name a directory by a descriptor if its path is too long, or would be unescaped."""
    if value is None or key not in _DIRECTORIES:
        return value
    if len(os.fsencode(value)) <= _LONGEST_SETTING and "\\" not in value:
        return value
    fd = os.open(value, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    opened.callback(os.close, fd)
    return f"/proc/self/fd/{fd}"


def make_home_private(home: str) -> None:
    """Bind *home* onto itself, as the Go tools do, so that mounts in it stay in this namespace."""
    try:
        if mountinfo.at(home) is None:
            mount.bind(home, home)
        mount.make_private(home)
    except OSError as refused:
        raise _failed(home, refused, "bind mount") from refused


def unmount(target: str) -> None:
    """Unmount all that is mounted at *target*, lazily; no error if nothing is."""
    for _ in range(_STACKED):
        try:
            mount.umount(target, mount.MNT_DETACH | mount.UMOUNT_NOFOLLOW)
        except OSError as refused:
            if refused.errno in (errno.EINVAL, errno.ENOENT):
                return
            if refused.errno == errno.EPERM and mountinfo.at(target) is None:
                return  # users without the right to unmount are refused before the kernel looks
            raise _failed(target, refused, "unmount") from refused


def renew(target: str) -> None:
    """Put a new directory in the place of *target*: a mount that lives on elsewhere pins none.

    Where there is no room for one, or something lies in the old one, that stays.
    """
    fresh = _fresh(target)
    try:
        status = os.lstat(target)
        with contextlib.suppress(FileExistsError):
            os.mkdir(fresh, 0o700)
        if (status.st_uid, status.st_gid) != (os.geteuid(), os.getegid()):
            os.chown(fresh, status.st_uid, status.st_gid)
        os.rename(fresh, target)
    except OSError as refused:
        with contextlib.suppress(OSError):
            os.rmdir(fresh)
        if refused.errno not in _NOT_RENEWED:
            raise


def forget_renewal(target: str) -> None:
    """Remove the new directory that :func:`renew` was about to put there when it was stopped."""
    with contextlib.suppress(OSError):
        os.rmdir(_fresh(target))


def _fresh(target: str) -> str:
    return f"{target}.1"


def remove_empty(target: str) -> None:
    """Remove a mount point of a layer of another store, and the directory made for it."""
    with contextlib.suppress(OSError):
        os.rmdir(target)
        os.rmdir(os.path.dirname(target))


def forget_volatile(work: str) -> None:
    """Let a volatile mount be made again after the last one ended in a crash."""
    erase_tree(os.path.join(work, "work", "incompat", "volatile"))


def _failed(
    target: str, refused: OSError, what: str = "overlay mount", options: Sequence[str] = ()
) -> MountFailedError:
    number = refused.errno or errno.EIO
    detail = refused.strerror or ""
    named = detail.partition("(")[2].removesuffix(")")
    if refused.filename and refused.filename != target:
        named = f"{refused.filename}: {named}" if named else str(refused.filename)
    if number == errno.EINVAL and options and not named:
        named = f"with the options {','.join(options)}"
    return MountFailedError(what, target, number, detail=named)
