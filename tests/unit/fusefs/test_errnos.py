import errno
import os

import pytest

import fusefs.mountpoint
import fusefs.options  # noqa: F401 - defines errors
from backend import errors as store
from drivers import errors as drivers
from fusefs.errnos import TABLE, errno_of


def _all_subclasses(kind: type) -> set[type]:
    return {kind}.union(*(_all_subclasses(sub) for sub in kind.__subclasses__()))


def test_every_error_of_the_store_and_the_drivers_has_an_errno_of_its_own() -> None:
    known = {"backend.errors", "drivers.errors", "fusefs.options", "fusefs.mountpoint"}
    classes = {kind for kind in _all_subclasses(drivers.StorageError) if kind.__module__ in known}

    assert classes - set(TABLE) == set()


@pytest.mark.parametrize(
    ("failure", "expected"),
    [
        (store.LayerHasChildrenError("layer a", ["b"]), errno.ENOTEMPTY),
        (store.LayerInUseError("layer a", ["b"]), errno.EBUSY),
        (store.LayerUnknownError("a"), errno.ENOENT),
        (store.DamagedError("layer a", "/x", "missing"), errno.EUCLEAN),
        (drivers.LayerDirectoryError("a", "/x", "missing"), errno.EUCLEAN),
        (store.LockTimeoutError("/x", 1.0, "pid 1"), errno.EBUSY),
        (store.ReadOnlyStoreError("image a"), errno.EROFS),
        (store.DuplicateNameError("image", "a", "b"), errno.EEXIST),
        (store.InvalidValueError("name", "", "empty"), errno.EINVAL),
        (drivers.MountFailedError("overlay", "/x", errno.ENOSPC), errno.ENOSPC),
        (OSError(errno.EDQUOT, "full"), errno.EDQUOT),
        (OSError("no number"), errno.EIO),
        (MemoryError(), errno.ENOMEM),
    ],
)
def test_an_exception_becomes_the_errno_that_the_tree_promises(
    failure: Exception, expected: int
) -> None:
    assert errno_of(failure) == expected, os.strerror(expected)


def test_an_error_that_is_not_in_the_table_gets_the_errno_of_what_it_is_a_case_of() -> None:
    class StrangeInUseError(store.LayerInUseError):
        pass

    assert errno_of(StrangeInUseError("layer a", ["b"])) == errno.EBUSY


@pytest.mark.parametrize("failure", [OSError(errno.ENOSYS, "x"), NotImplementedError()])
def test_enosys_never_leaves_because_the_kernel_would_not_ask_again(failure: Exception) -> None:
    assert errno_of(failure) != errno.ENOSYS


@pytest.mark.parametrize("failure", [KeyError("a"), AssertionError(), RecursionError()])
def test_a_bug_has_no_errno(failure: Exception) -> None:
    assert errno_of(failure) is None
