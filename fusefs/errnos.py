"""Which errno a program sees for which of our exceptions (tree.md, section 9).

Used by: fusefs.request.
Knows nothing of: FUSE, nodes, the store. A test proves that no StorageError is missing here.
"""

import errno
from collections.abc import Mapping
from typing import Final

from backend import errors as store
from drivers import errors as drivers
from fusefs.fusermount import HelperError
from fusefs.mountpoint import MountPointError
from fusefs.options import MountOptionError

TABLE: Final[Mapping[type[BaseException], int]] = {
    drivers.StorageError: errno.EIO,
    drivers.DriverError: errno.EIO,
    drivers.DriverNotSupportedError: errno.EOPNOTSUPP,
    drivers.DriverOptionError: errno.EINVAL,
    drivers.WrongDriverError: errno.EINVAL,
    drivers.UnsafeNameError: errno.EINVAL,
    drivers.LayerDirectoryError: errno.EUCLEAN,
    drivers.LayerExistsError: errno.EEXIST,
    drivers.TooManyLayersError: errno.EMLINK,
    drivers.MountFailedError: errno.EIO,  # its own errno goes first
    drivers.ArchiveError: errno.EBADMSG,
    drivers.UnpackFailedError: errno.EIO,  # its own errno goes first
    drivers.UnsupportedCompressionError: errno.EOPNOTSUPP,
    drivers.IDMapError: errno.EINVAL,
    store.StoreError: errno.EIO,
    store.NotAStoreError: errno.EUCLEAN,
    store.ConfigError: errno.EINVAL,
    store.RecordFileError: errno.EUCLEAN,
    store.LockFileError: errno.EUCLEAN,
    store.ReadOnlyStoreError: errno.EROFS,
    store.LockTimeoutError: errno.EBUSY,
    store.UnknownObjectError: errno.ENOENT,
    store.LayerUnknownError: errno.ENOENT,
    store.ImageUnknownError: errno.ENOENT,
    store.ContainerUnknownError: errno.ENOENT,
    store.BigDataUnknownError: errno.ENOENT,
    store.DuplicateError: errno.EEXIST,
    store.DuplicateIDError: errno.EEXIST,
    store.DuplicateNameError: errno.EEXIST,
    store.InUseError: errno.EBUSY,
    store.LayerHasChildrenError: errno.ENOTEMPTY,
    store.LayerInUseError: errno.EBUSY,
    store.ImageInUseError: errno.EBUSY,
    store.MountedError: errno.EBUSY,
    store.ParentIsContainerError: errno.EBUSY,
    store.DamagedError: errno.EUCLEAN,
    store.InvalidValueError: errno.EINVAL,
    store.NotMountedError: errno.EINVAL,
    store.DiskFullError: errno.ENOSPC,
    store.NoAvailableIDsError: errno.ENOSPC,
    MountOptionError: errno.EINVAL,
    MountPointError: errno.EBUSY,
    HelperError: errno.EPERM,
    MemoryError: errno.ENOMEM,
    TimeoutError: errno.EBUSY,
}


_WITH_ERRNO: Final = (OSError, drivers.MountFailedError, drivers.UnpackFailedError)


def errno_of(exc: BaseException) -> int | None:
    """The errno of *exc*, by its nearest class in the table; None if *exc* is a bug of ours.

    ENOSYS never leaves here: the kernel would not ask again for the life of the mount.
    """
    own = getattr(exc, "errno", None) if isinstance(exc, _WITH_ERRNO) else 0
    if own:
        return errno.EOPNOTSUPP if own == errno.ENOSYS else int(own)
    for kind in type(exc).__mro__:
        if kind in TABLE:
            return TABLE[kind]
    return errno.EIO if isinstance(exc, OSError) else None
