"""What the kernel and the file system below can do, tried once and remembered.

Used by: drivers.overlay.driver, when a mount or the status needs to know; never on opening.
The memory is the Go tools': RUNROOT/overlay/FEATURE-true or FEATURE-false, so either side learns
from the other. What fails for want of space, memory or descriptors, or because of a broken disk,
is no answer, and not remembered. Trials happen in the trash, where whoever writes next erases what
a crash left, and mount nothing visible.
"""

import contextlib
import errno
import os
from collections.abc import Callable, Iterator
from typing import Final

from drivers.errors import (
    DriverNotSupportedError,
    MountFailedError,
    is_full,
    is_of_disk,
    is_shortage,
)
from drivers.idmap.maps import IDMap
from drivers.linux import dirent, xattr
from drivers.overlay.detached import mount_detached
from drivers.overlay.mountdata import OverlayMount, split_options
from drivers.overlay.shifting import Shift, attached
from drivers.trash import TrashDirectory

_NOBODY: Final = 65534
_DIRECTORY: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


class Probe:
    """Answers of one machine for one home. *remember_only*: never try, unknown counts as no."""

    def __init__(
        self,
        home: str,
        run_home: str,
        mount_options: tuple[str, ...],
        *,
        prefix: bytes,
        remember_only: bool,
    ) -> None:
        self._home, self._run_home, self._prefix = home, run_home, prefix
        self._text = ",".join(mount_options)
        self._options = split_options(mount_options)[1]
        self._remember_only = remember_only

    def overlay(self) -> None:
        """Raise DriverNotSupportedError where overlay cannot work."""
        remembered = self._remembered("overlay")
        if remembered is None and not self._remember_only:
            reason = self._try_overlay()
            self._remember("overlay", works=not reason, text=reason)
        elif remembered is False:
            with open(self._file("overlay", works=False), encoding="utf-8") as file:
                reason = file.read() or "an earlier trial failed"
        else:
            return
        if reason:
            raise DriverNotSupportedError(
                "overlay", reason, remedy="use another file system for the store, or vfs"
            )

    def metacopy(self) -> bool:
        """Whether ``metacopy=on`` in the mount options has an effect."""
        return self._answer(f"metacopy({self._text})", self._try_metacopy)

    def native_diff(self) -> bool:
        """Whether the content of an upper directory says all that a layer changed."""
        return self._answer(f"native-diff({self._text})", self._try_native_diff)

    def volatile(self) -> bool:
        """Whether an overlay can be told never to sync."""
        return self._answer("volatile", self._try_volatile)

    def mapped_lowers(self) -> bool:
        """Whether lower directories can be shown under other IDs.

        Raises what keeps it from being tried, as files are copied where the answer is no.
        """
        return self._tried("idmapped-lower-dir", self._try_mapped_lowers)

    def _answer(self, feature: str, attempt: Callable[[], bool]) -> bool:
        """As :meth:`_tried`; no, for once, where it cannot be tried: the slower way works too."""
        try:
            return self._tried(feature, attempt)
        except (OSError, MountFailedError):
            return False

    def _tried(self, feature: str, attempt: Callable[[], bool]) -> bool:
        answer = self._remembered(feature)
        if answer is None and not self._remember_only:
            try:
                answer = attempt()
            except (OSError, MountFailedError) as refused:
                if _is_no_answer(refused):
                    raise
                answer = False
            self._remember(feature, works=answer)
        return bool(answer)

    def _file(self, feature: str, *, works: bool) -> str:
        return os.path.join(self._run_home, f"{feature}-{'true' if works else 'false'}")

    def _remembered(self, feature: str) -> bool | None:
        if os.path.exists(self._file(feature, works=True)):
            return True
        return False if os.path.exists(self._file(feature, works=False)) else None

    def _remember(self, feature: str, *, works: bool, text: str = "") -> None:
        with contextlib.suppress(OSError):  # asked again next time
            os.makedirs(self._run_home, 0o700, exist_ok=True)
            with open(self._file(feature, works=works), "w", encoding="utf-8") as file:
                file.write(text)

    @contextlib.contextmanager
    def _trial(self, *directories: str) -> Iterator[str]:
        """Make a directory below the home with some in it; erase it at the end."""
        os.makedirs(self._home, 0o755, exist_ok=True)
        trash = TrashDirectory(os.path.join(self._home, "tempdirs"))
        try:
            path = trash.addition()
            for name in directories:
                os.makedirs(os.path.join(path, name))
            yield path
        finally:
            trash.erase()

    def _overlay(self, path: str, *lowers: str, extra: tuple[str, ...] = ()) -> OverlayMount:
        options = (*self._options, *extra)
        if self._prefix == b"user.overlay.":
            options += ("userxattr",)
        return OverlayMount(
            lowers=tuple(os.path.join(path, name) for name in lowers),
            upper=os.path.join(path, "upper"),
            work=os.path.join(path, "work"),
            options=options,
        )

    @contextlib.contextmanager
    def _mounted(self, path: str, *lowers: str, extra: tuple[str, ...] = ()) -> Iterator[int]:
        fd = mount_detached(self._overlay(path, *lowers, extra=extra), path)
        try:
            root = os.open(".", _DIRECTORY, dir_fd=fd)
            try:
                yield root
            finally:
                os.close(root)
        finally:
            os.close(fd)

    def _try_overlay(self) -> str:
        """Return why overlay does not work here, or nothing."""
        try:
            with self._trial("upper", "work", "lower1", "lower2/gone") as path:
                if not dirent.reports_kinds(path):
                    return "the file system below tells no kinds of files (d_type)"
                with self._mounted(path, "lower1", "lower2") as merged:
                    os.rmdir("gone", dir_fd=merged)
        except (OSError, MountFailedError) as refused:
            if _is_no_answer(refused):
                raise
            return str(refused)
        return ""

    def _try_metacopy(self) -> bool:
        with self._trial("upper", "work", "lower") as path:
            with open(os.path.join(path, "lower", "file"), "wb") as file:
                file.write(b"content")
            with self._mounted(path, "lower") as merged:
                os.chmod("file", 0o600, dir_fd=merged)
            upper = os.open(os.path.join(path, "upper"), _DIRECTORY)
            try:
                return self._prefix + b"metacopy" in xattr.names_at(upper, b"file")
            finally:
                os.close(upper)

    def _try_native_diff(self) -> bool:
        names = ("lower1/d", "lower2/d", "lower2/r", "upper", "work")
        with self._trial(*names) as path:
            os.setxattr(os.path.join(path, "lower2", "d"), self._prefix + b"opaque", b"y")
            with self._mounted(path, "lower2", "lower1") as merged:
                os.close(os.open("d/new", os.O_CREAT | os.O_WRONLY, dir_fd=merged))
                renamed = _renames(merged)
            copied = os.listxattr(os.path.join(path, "upper", "d"))
            if (self._prefix + b"opaque").decode() in copied:
                return False
            if not renamed:
                return True
            moved = os.listxattr(os.path.join(path, "upper", "renamed"))
            return (self._prefix + b"redirect").decode() not in moved

    def _try_volatile(self) -> bool:
        with (
            self._trial("upper", "work", "lower") as path,
            self._mounted(path, "lower", extra=("volatile",)),
        ):
            return True

    def _try_mapped_lowers(self) -> bool:
        maps = (IDMap(0, _NOBODY, 1),)
        with self._trial("home/lower", "upper", "work", "mapped") as path:
            homes = (os.path.join(path, "home"),)
            overlay = self._overlay(path, "home/lower")
            shift = Shift(maps, maps, homes)
            with attached(overlay, shift, os.path.join(path, "mapped")) as mapped:
                os.close(mount_detached(mapped, path))
        return True


def _is_no_answer(refused: BaseException) -> bool:
    return is_shortage(refused) or is_of_disk(refused) or is_full(refused)


def _renames(merged: int) -> bool:
    """Whether a directory of a lower layer can be renamed (the kernel then redirects it)."""
    try:
        os.rename("r", "renamed", src_dir_fd=merged, dst_dir_fd=merged)
    except OSError as refused:
        if refused.errno == errno.EXDEV:
            return False
        raise
    return True
