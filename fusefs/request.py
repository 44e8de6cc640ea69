"""The boundary: nothing but FUSEError leaves a request handler.

Used by: fusefs.{operations,answering}, on each handler; fusefs.serving makes the boundary.
Knows nothing of: what the handlers do.
Anything else that escaped would end the main loop of pyfuse3 and with it the mount. Here every
exception becomes its errno (fusefs.errnos), a refusal becomes a line of ``/errors``, a bug becomes
EIO for that caller and one line of the log, and a change in a read-only mount becomes EROFS.
"""

import errno
import functools
import logging
import os
import traceback
from collections import Counter
from collections.abc import Callable, Coroutine
from typing import Any, Concatenate, Final, ParamSpec, Protocol, TypeVar

import pyfuse3
import trio

from backend.errors import ReadOnlyStoreError, UnknownObjectError, of_system
from drivers.errors import StorageError
from fusefs.errnos import errno_of
from fusefs.nodes.base import Caller, RefusedError
from fusefs.nodes.journal import Journal
from fusefs.stalewalks import StaleWalks

P = ParamSpec("P")
T = TypeVar("T")

log: Final = logging.getLogger("storagefs")

_SYNTHETIC: Final = 1 << 63
_NAMING: Final = frozenset({"symlink", "mkdir"})
_ORDINARY: Final = frozenset({errno.ENOENT, errno.ENODATA, errno.ESTALE, errno.ERANGE})
"""What programs ask for all day and what says nothing about the store: not worth a line."""


class Boundary:
    """What the boundary of one mount needs and counts."""

    def __init__(self, refusals: Journal, *, read_only: bool) -> None:
        self._refusals = refusals
        self.read_only = read_only
        self.stale_walks = StaleWalks()
        self.requests: Counter[str] = Counter()
        """Requests by kind since the mount began."""
        self.changing = 0
        """Requests under way that change objects or directories."""

    def admit_change(self) -> None:
        """Refuse what would change something, in a read-only mount."""
        if self.read_only:
            raise ReadOnlyStoreError("this mount", remedy="mount without the option ro")

    def answer(self, operation: str, where: "Where", failure: BaseException) -> int:
        """The errno for *failure*, told to whom it concerns."""
        number = errno_of(failure)
        if number is None:
            log.error("%s %s: %s", operation, where.path(), _summary(failure))
            return errno.EIO
        if _worth_a_line(operation, where.ino, number, failure):
            reason = str(failure) if isinstance(failure, StorageError) else _reason(failure)
            remedy = failure.remedy if isinstance(failure, StorageError | RefusedError) else ""
            self._refusals.refused(
                where.caller, operation, where.path(), number, reason=reason, remedy=remedy
            )
        return number


class Where:
    """Whom and what a request is about; worked out only when it failed."""

    __slots__ = ("_path", "caller", "ino")

    def __init__(self, ino: int, caller: Caller | None, path: Callable[[], str]) -> None:
        self.ino, self.caller, self._path = ino, caller, path

    def path(self) -> str:
        """The path in the tree, as far as it is known."""
        return self._path()


class Guarded(Protocol):
    """What a class with guarded handlers offers to the boundary."""

    boundary: Boundary

    def where(self, arguments: tuple[object, ...], *, by_handle: bool) -> Where:
        """Whom and what a request with these arguments is about."""


G = TypeVar("G", bound=Guarded)


def request(
    *, changes: bool = False, by_handle: bool = False
) -> Callable[
    [Callable[Concatenate[G, P], Coroutine[Any, Any, T]]],
    Callable[Concatenate[G, P], Coroutine[Any, Any, T]],
]:
    """Make a handler safe. *changes*: refused in a read-only mount. *by_handle*: no inode given."""
    counted = changes and not by_handle

    def wrap(
        handler: Callable[Concatenate[G, P], Coroutine[Any, Any, T]],
    ) -> Callable[Concatenate[G, P], Coroutine[Any, Any, T]]:
        operation = handler.__name__

        @functools.wraps(handler)
        async def guarded(self: G, /, *args: P.args, **kwargs: P.kwargs) -> T:
            boundary = self.boundary
            boundary.requests[operation] += 1
            boundary.changing += counted
            try:
                if changes:
                    boundary.admit_change()
                return await handler(self, *args, **kwargs)
            except (pyfuse3.FUSEError, trio.Cancelled):
                raise
            except BaseException as failure:  # noqa: BLE001 - this is the boundary
                number = _answer(self, operation, args, failure, by_handle=by_handle)
            finally:
                boundary.changing -= counted
            raise pyfuse3.FUSEError(number)

        return guarded

    return wrap


def _answer(
    self: Guarded,
    operation: str,
    args: tuple[object, ...],
    failure: BaseException,
    *,
    by_handle: bool,
) -> int:
    """Ask the boundary; a failure in telling about a failure must not end the mount either."""
    try:
        boundary, where = self.boundary, self.where(args, by_handle=by_handle)
        number = boundary.answer(operation, where, failure)
        caller = None if by_handle or number != errno.ESTALE else where.caller
        return boundary.stale_walks.errno(caller, where.ino) if caller else number
    except Exception as second:  # noqa: BLE001 - see above
        log.error("%s: %s, then %s", operation, _summary(failure), _summary(second))  # noqa: TRY400 - one line
        return errno.EIO


def _worth_a_line(operation: str, ino: int, number: int, failure: BaseException) -> bool:
    """Refusals of the store are; what a file inside a layer answers, or ENOENT, is not.

    But who makes something that names an object is not told by ENOENT which one is not known.
    """
    if isinstance(failure, UnknownObjectError):
        return failure.ambiguous or operation in _NAMING
    if isinstance(failure, StorageError):
        return True
    return bool(ino & _SYNTHETIC) and number not in _ORDINARY


def _reason(failure: BaseException) -> str:
    if isinstance(failure, OSError) and failure.strerror:
        return of_system(failure)
    return str(failure) or os.strerror(errno_of(failure) or errno.EIO)


def _summary(failure: BaseException) -> str:
    """An exception and the last places it came through, on one line."""
    frames = traceback.extract_tb(failure.__traceback__)[-4:]
    places = " < ".join(
        f"{os.path.basename(frame.filename)}:{frame.lineno} {frame.name}"
        for frame in reversed(frames)
    )
    text = " ".join(traceback.format_exception_only(failure)).replace("\n", " ").strip()
    return f"{text} at {places}" if places else text
