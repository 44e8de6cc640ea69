"""What the store raises, drawn as a tree.

    StorageError (drivers.errors)
      StoreError
        NotAStoreError             a graph root that is missing, unreadable or no store
        ConfigError                storage.conf or an option cannot be read
        RecordFileError            a JSON file of the store is damaged; names the file
        LockFileError              a lock file of the store is no file that can be locked
        ReadOnlyStoreError         a change in a store or object that is read-only
        LockTimeoutError           a lock was not obtained in time; names the holder
        UnknownObjectError         no such object, or an ambiguous prefix
          LayerUnknownError  ImageUnknownError  ContainerUnknownError  BigDataUnknownError
        DuplicateError
          DuplicateIDError  DuplicateNameError
        InUseError                 something stands on it; ``holders`` says what
          LayerHasChildrenError  LayerInUseError  ImageInUseError  MountedError
        ParentIsContainerError     a container's own layer cannot be a parent
        DamagedError               a record whose directory or data is missing or half made
        InvalidValueError          a malformed ID, name, key, digest or value
        NotMountedError            it is not mounted
        DiskFullError              no room for the content of a layer
        NoAvailableIDsError        not enough subordinate IDs left for a user namespace

Used by: backend and fusefs. Facts are attributes; fusefs.errnos gives each class its errno.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from drivers.errors import StorageError


class StoreError(StorageError):
    """The store refuses or fails."""


class NotAStoreError(StoreError):
    """A graph root that is missing, unreadable, or no store."""

    def __init__(self, root: str, reason: str, *, remedy: str = "") -> None:
        super().__init__(f"{root}: {reason}", remedy=remedy)
        self.root = root


class ConfigError(StoreError):
    """A configuration file or option that cannot be used. ``origin`` is a file or variable."""

    def __init__(self, origin: str, reason: str, *, remedy: str = "") -> None:
        super().__init__(f"{origin}: {reason}", remedy=remedy)
        self.origin = origin


class RecordFileError(StoreError):
    """A record file that is no valid JSON of its kind. Nothing was changed."""

    def __init__(self, path: str, reason: str, *, remedy: str = "") -> None:
        super().__init__(f"loading {path}: {reason}", remedy=remedy)
        self.path, self.reason = path, reason


class LockFileError(StoreError):
    """Something that cannot be locked has the name of a lock file."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(
            f"lock file {path}: {reason}", remedy="move it away while nothing uses the store"
        )
        self.path = path


class ReadOnlyStoreError(StoreError):
    """A change was asked of something read-only."""

    def __init__(self, what: str, *, remedy: str = "") -> None:
        super().__init__(f"{what} is read-only", remedy=remedy)


class LockTimeoutError(StoreError):
    """A lock was not obtained within the limit (seconds). ``holder`` is text for people."""

    def __init__(self, path: str, seconds: float, holder: str) -> None:
        super().__init__(
            f"{path}: not locked within {seconds:g} s, held by {holder}",
            remedy="wait for that process to finish, or raise the limit with --lock-timeout",
        )
        self.path, self.seconds, self.holder = path, seconds, holder


class UnknownObjectError(StoreError):
    """No object answers to ``reference``."""

    kind = "object"
    reason = "not known"

    def __init__(self, reference: str, *, ambiguous: bool = False) -> None:
        reason = "matches more than one" if ambiguous else self.reason
        super().__init__(f"{reference}: {self.kind} {reason}")
        self.reference, self.ambiguous = reference, ambiguous


class LayerUnknownError(UnknownObjectError):
    """No such layer."""

    kind = "layer"


class ImageUnknownError(UnknownObjectError):
    """No such image."""

    kind = "image"


class ContainerUnknownError(UnknownObjectError):
    """No such container."""

    kind = "container"


class BigDataUnknownError(UnknownObjectError):
    """The object has no data item of that key."""

    kind = "data item"
    reason = "does not exist"


class DuplicateError(StoreError):
    """Taken already."""


class DuplicateIDError(DuplicateError):
    """An object of this kind has the ID already."""

    def __init__(self, kind: str, identifier: str) -> None:
        super().__init__(f"{kind} {identifier}: that ID is already in use")
        self.kind, self.id = kind, identifier


class DuplicateNameError(DuplicateError):
    """Another object of this kind has the name already."""

    def __init__(self, kind: str, name: str, owner: str) -> None:
        super().__init__(
            f"{kind} name {name!r}: that name is already in use by {owner}",
            remedy=f"choose another name, or remove it from {kind} {owner[:12]} first",
        )
        self.kind, self.name, self.owner = kind, name, owner


class InUseError(StoreError):
    """It cannot go while something stands on it."""

    use = "in use by"

    def __init__(self, what: str, holders: Sequence[str], *, remedy: str = "") -> None:
        super().__init__(f"{what} is {self.use} {', '.join(holders)}", remedy=remedy)
        self.holders = tuple(holders)


class LayerHasChildrenError(InUseError):
    """Other layers have it as their parent."""

    use = "the parent of"


class LayerInUseError(InUseError):
    """An image or a container uses the layer."""


class ImageInUseError(InUseError):
    """A container uses the image."""


class MountedError(InUseError):
    """Somebody has it mounted."""

    use = "mounted by"


class ParentIsContainerError(StoreError):
    """The would-be parent is a container's own layer."""

    def __init__(self, layer: str, container: str) -> None:
        super().__init__(f"would-be parent layer {layer} is a container ({container})")
        self.layer, self.container = layer, container


class DamagedError(StoreError):
    """A record without its content, or something half made. ``path`` is what is missing."""

    def __init__(self, what: str, path: str, reason: str, *, remedy: str = "") -> None:
        super().__init__(f"{what} is damaged: {path}: {reason}", remedy=remedy)
        self.path = path


class InvalidValueError(StoreError):
    """A value that cannot be stored. ``what`` says of which kind it is."""

    def __init__(self, what: str, value: str, reason: str, *, remedy: str = "") -> None:
        super().__init__(f"{what} {value!r}: {reason}", remedy=remedy)
        self.what, self.value = what, value


class NotMountedError(StoreError):
    """The layer or container is not mounted."""

    def __init__(self, what: str) -> None:
        super().__init__(f"{what} is not mounted")


class NoAvailableIDsError(StoreError):
    """There are not enough unused subordinate IDs. ``kind`` is ``user`` or ``group``."""

    def __init__(self, kind: str, wanted: int, free: int) -> None:
        super().__init__(
            f"not enough unused IDs in user namespace: {wanted} {kind} IDs wanted, {free} are free",
            remedy="delete containers with a user namespace, or give more IDs in /etc/subuid "
            "and /etc/subgid",
        )
        self.kind, self.wanted, self.free = kind, wanted, free


class DiskFullError(StoreError):
    """No room is left on the file system of ``path``."""

    def __init__(self, what: str, path: str) -> None:
        super().__init__(
            f"{what}: {path}: no space left on device",
            remedy="make room there (deleting works on a full disk too), then try again",
        )
        self.path = path


def of_system(error: OSError) -> str:
    """An error of the system as text: which file, then why."""
    reason = error.strerror or str(error)
    return f"{os.fsdecode(error.filename)}: {reason}" if error.filename else reason
