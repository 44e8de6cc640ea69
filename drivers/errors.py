"""The root of all our errors, and what drivers raise.

    StorageError
      DriverError
        DriverNotSupportedError    no such driver, or it cannot work on this machine
        DriverOptionError          an option that the driver does not know or cannot read
        WrongDriverError           the root belongs to another driver, or to several
        UnsafeNameError            an ID or link that would lead out of its directory
        LayerDirectoryError        a layer's directory, link or lower file is missing or damaged
        LayerExistsError           the directory of a new layer is there already
        TooManyLayersError         a chain deeper than overlay can mount
        MountFailedError           the kernel refused a mount or an unmount
      ArchiveError                 a tar archive or its compression is damaged, hostile or cut short
      UnpackFailedError            the disk or the kernel refused what an archive holds
      UnsupportedCompressionError  a compression that cannot be written
      IDMapError                   a map of IDs that cannot be read, or nobody's IDs

Used by: every package. Each class carries facts (attributes) and one smallest remedy; messages
name the object and the file. Knows nothing of: errno values (fusefs.errnos maps them).
"""

from errno import (
    EACCES,
    EBADMSG,
    EDQUOT,
    EINTR,
    EIO,
    EMFILE,
    ENFILE,
    ENOMEM,
    ENOSPC,
    EPERM,
    ESTALE,
    ETIMEDOUT,
    EUCLEAN,
)
from typing import Final


class StorageError(Exception):
    """Anything that storagefs refuses or fails to do.

    ``remedy`` is one sentence: the smallest thing that a person can do about it.
    """

    remedy: str = ""

    def __init__(self, message: str, *, remedy: str = "") -> None:
        super().__init__(message)
        if remedy:
            self.remedy = remedy


class DriverError(StorageError):
    """A driver cannot do what was asked."""


class DriverNotSupportedError(DriverError):
    """No such driver, or this machine or file system cannot carry it."""

    def __init__(self, driver: str, reason: str, *, remedy: str = "") -> None:
        super().__init__(f"driver not supported: {driver}: {reason}", remedy=remedy)
        self.driver = driver


class DriverOptionError(DriverError):
    """A driver option that is unknown or has a bad value."""

    def __init__(self, option: str, reason: str, *, remedy: str = "") -> None:
        super().__init__(f"driver option {option!r}: {reason}", remedy=remedy)
        self.option = option


class WrongDriverError(DriverError):
    """The graph root holds data of another driver, or of several."""


class UnsafeNameError(DriverError):
    """An ID, link or lower entry that is not one plain path component."""

    remedy = "use 64 hexadecimal digits, or any name without slash that is not . or .."

    def __init__(self, what: str, value: str) -> None:
        super().__init__(f"{what} {value!r} cannot be used as a file name")
        self.value = value


class LayerDirectoryError(DriverError):
    """Something that a layer needs on disk is missing or cannot be understood."""

    def __init__(self, layer: str, path: str, reason: str, *, remedy: str = "") -> None:
        super().__init__(f"layer {layer}: {path}: {reason}", remedy=remedy)
        self.layer, self.path, self.reason = layer, path, reason


class LayerExistsError(DriverError):
    """The directory for a new layer exists already."""

    def __init__(self, layer: str, path: str) -> None:
        super().__init__(f"layer {layer}: {path} exists already")
        self.layer, self.path = layer, path


class TooManyLayersError(DriverError):
    """A chain of more layers than overlay can mount."""

    def __init__(self, layer: str, depth: int, limit: int) -> None:
        super().__init__(f"layer {layer}: {depth} layers below it, overlay takes {limit}")
        self.layer, self.depth, self.limit = layer, depth, limit


_SHOWN_BYTES: Final = 200
_UNPRIVILEGED: Final = (
    "run it as root, or in the user namespace of the store: podman unshare COMMAND"
)


class MountFailedError(DriverError):
    """The kernel refused to mount or unmount. ``errno`` is the kernel's own."""

    def __init__(self, what: str, target: str, errno: int, *, detail: str = "") -> None:
        import os

        reason = os.strerror(errno) + (f" ({detail})" if detail else "")
        super().__init__(
            f"{what} at {target}: {reason}", remedy=_UNPRIVILEGED if errno == EPERM else ""
        )
        self.target, self.errno, self.detail = target, errno, detail


class ArchiveError(StorageError):
    """A layer's archive that is damaged, cut short, hostile, or of a kind that cannot be kept.

    ``entry`` is the name of the entry at fault, empty if there is none. What Go's tools say is
    part of the message where they have words for it, such as ``unexpected EOF``.
    """

    def __init__(self, reason: str, *, entry: bytes = b"", remedy: str = "") -> None:
        super().__init__(f"archive entry {_shown(entry)}: {reason}" if entry else reason)
        self.reason, self.entry = reason, entry
        if remedy:
            self.remedy = remedy


class UnpackFailedError(StorageError):
    """The archive may be good, but this entry could not be made. ``errno`` is the kernel's own."""

    def __init__(self, entry: bytes, errno: int, *, detail: str = "", remedy: str = "") -> None:
        import os

        reason = os.strerror(errno) + (f": {detail}" if detail else "")
        super().__init__(
            f"archive entry {_shown(entry)}: {reason}",
            remedy=remedy or (_UNPRIVILEGED if errno == EPERM else ""),
        )
        self.entry, self.errno = entry, errno


class UnsupportedCompressionError(StorageError):
    """An archive cannot be written with this compression (``compression``: its name)."""

    remedy = "ask for no compression, gzip or zstd"

    def __init__(self, compression: str) -> None:
        super().__init__(f"archives cannot be written with {compression} compression")
        self.compression = compression


class IDMapError(StorageError):
    """A map of user or group IDs that cannot be read, or a user without subordinate IDs."""


def is_shortage(error: BaseException | None) -> bool:
    """Whether *error* came of what this process has too little of, or of a signal, at any remove.

    It says nothing about the thing that was looked at.
    """
    return _came_of(error, (EMFILE, ENFILE, ENOMEM, EINTR))


def is_of_disk(error: BaseException | None) -> bool:
    """Whether *error* came, at any remove, of a disk that does not give what it has.

    A file system whose own structure is damaged says EUCLEAN or EBADMSG, one on a network that
    does not answer ESTALE or ETIMEDOUT.
    What is there may be whole: nothing should be deleted for it.
    """
    return _came_of(error, (EIO, EBADMSG, EUCLEAN, ESTALE, ETIMEDOUT))


def is_unreadable(error: BaseException | None) -> bool:
    """Whether *error* says, at any remove, that nobody could look: the disk, or who may read it.

    Like :func:`is_of_disk` for those whose question is not what they may do.
    """
    return is_of_disk(error) or _came_of(error, (EACCES, EPERM))


def is_full(error: BaseException | None) -> bool:
    """Whether *error* came, at any remove, of a file system or an account without room."""
    return _came_of(error, (ENOSPC, EDQUOT))


def _came_of(error: BaseException | None, numbers: tuple[int, ...]) -> bool:
    while error is not None:
        if isinstance(error, OSError) and error.errno in numbers:
            return True
        error = error.__cause__
    return False


def _shown(name: bytes) -> str:
    """*name* quoted and without control characters, cut to what fits a line."""
    text = repr(name[:_SHOWN_BYTES].decode("utf-8", "backslashreplace"))
    return text if len(name) <= _SHOWN_BYTES else text + "..."
