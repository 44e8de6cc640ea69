"""Native mounts: the kernel carries the content of a directory from its first use on.

Used by: fusefs.session (mounted, run, detach_all), fusefs.operations (before, as its gate).
Knows nothing of: how a view is read, what a store is made of.

The first request on a content directory attaches a mount there and is answered with ESTALE: the
kernel then walks the path again and crosses over, and the caller never sees the error. Rules:

* A lookup is never delayed: the thread that attaches walks into our own mount. Only requests on
  the directory itself wait, and that thread belongs to a lane of its own.
* Only a system call that names a path is told ESTALE, because only it walks again; a caller that
  came by descriptor, or that was told so a moment ago, is served through the FUSE path. So is
  everybody who reaches a directory that is covered: a working directory or descriptor from before.
* Mounts are found again by their ID in the kernel's table: a renamed container takes its mount
  along, and a mount that somebody else took away is no longer ours.
"""

import contextlib
import errno
import logging
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from threading import Lock
from typing import Final, NamedTuple

import pyfuse3
import trio

from backend.errors import MountedError
from drivers.errors import StorageError
from drivers.linux import mount, mountinfo
from fusefs.callers import names_a_path
from fusefs.heldmounts import HeldMounts
from fusefs.nodes.base import Caller, Ino, Node
from fusefs.nodes.content import Content, ContentDirectory
from fusefs.nodes.guard import DeletionGuard, ObjectKey
from fusefs.offload import Offload
from fusefs.options import MountOptions

log: Final = logging.getLogger("storagefs")

_LOOKS: Final = 50
_ONCE: Final = 5.0
"""Seconds in which one caller is sent back at most once, and not at all after being served."""


class MountKey(NamedTuple):
    """What tells one of our native mounts from others.

    The kernel gives the ID of a mount that is gone to the next one, so the ID alone would name a
    stranger's mount: a mount is ours if it stands on our tree, too, and is of the same device.
    """

    id: int
    device: str


@dataclass(frozen=True, slots=True)
class Attached:
    """One native mount."""

    ino: Ino
    key: ObjectKey
    mount: MountKey
    give_back: Callable[[], None]
    since: float = field(default_factory=time.monotonic)


@contextlib.contextmanager
def _told() -> Iterator[None]:
    """Log what goes wrong: the FUSE path serves everybody all the same."""
    try:
        yield
    except (OSError, StorageError) as problem:
        log.warning("native mounts: %s", problem)


class NativeMounts:
    """The native mounts of one tree."""

    def __init__(
        self,
        content: Content,
        held: HeldMounts,
        options: MountOptions,
        offload: Offload,
        guard: DeletionGuard,
        *,
        enabled: bool,
        path_of: Callable[[int], str],
    ) -> None:
        self._content, self._held = content, held
        self._options, self._guard = options, guard
        self._offload = offload
        self._enabled = enabled
        self._path_of = path_of
        self._visible, self._begun = trio.Event(), trio.Event()
        self._device = ""
        self._root_id = 0  # stays 0 where nothing is to be attached
        # Touched in the loop only: who is being attached; whom we sent back or served, when.
        self._under_way: dict[Ino, trio.Event] = {}
        self._sent_back: dict[tuple[Ino, int], float] = {}
        # By inode number of the covered directory. Changed under the lock, in any thread.
        self._attached: dict[Ino, Attached] = {}
        self._coming = 0
        """Mounts that threads are about to attach: they count against the most that may be."""
        self._closing = False
        self._lock = Lock()
        content.detach = self.detach
        guard.on_refusal = self.withdraw

    # In the event loop

    def mounted(self, device: str) -> None:
        """The tree is visible; *device* is its number. Nothing is attached before :meth:`run`."""
        self._device = device
        self._visible.set()

    async def run(self) -> None:
        """Once the tree is visible, offer native mounts and take idle ones away; never returns."""
        await self._visible.wait()
        try:
            with _told():
                await self._offload.mounts(self._begin)
        finally:
            self._begun.set()
        period = max(self._options.idle_seconds / 2, 0.05)
        while True:
            await trio.sleep(period)
            with _told():
                await self._offload.mounts(self._expire_now)
                await self._offload.records(self._content.close_idle, self._options.idle_seconds)

    async def before(self, node: Node, caller: Caller, *, locked: bool) -> None:
        """Prepare *node* for a request of *caller*, or send the caller over to a native mount.

        Returns if the request is to be served through the FUSE path. Raises FUSEError(ESTALE)
        once the directory is covered. A *locked* request holds the kernel's lock of the directory,
        which attaching needs: it never waits for that. A caller that was served goes on being
        served for a while, for its system call may come back with the lock held.
        """
        if not isinstance(node, ContentDirectory):
            return
        if self._enabled and not locked:
            await self._begun.wait()  # the very first request can be faster than we are
        if not locked and await self._offers(node, caller) and await _came_by_path(caller):
            under_way = self._under_way.get(node.ino)
            if under_way is not None:
                await under_way.wait()
            else:
                await self._attach_once(node)
            if node.ino in self._attached:
                self._sent_back[node.ino, caller.pid] = time.monotonic()
                raise pyfuse3.FUSEError(errno.ESTALE)
        if self._enabled:
            self._sent_back[node.ino, caller.pid] = time.monotonic()
        if not node.view.is_open:
            await self._offload.records(node.view.root)

    async def _offers(self, node: ContentDirectory, caller: Caller) -> bool:
        """Whether *caller* is to cross over to a native mount that is not there (any more)."""
        if not self._root_id or self._closing:
            return False
        now = time.monotonic()
        for key in [key for key, when in self._sent_back.items() if now - when > _ONCE]:
            del self._sent_back[key]
        if (node.ino, caller.pid) in self._sent_back or self._guard.is_held(node.key, caller):
            return False
        return node.ino not in self._attached or await self._offload.mounts(self._is_lost, node.ino)

    async def _attach_once(self, node: ContentDirectory) -> None:
        event = self._under_way[node.ino] = trio.Event()
        try:
            await self._offload.mounts(self._attach, node, self._path_of(node.ino))
        except (OSError, StorageError) as problem:
            # The FUSE path serves the request, and says what is wrong if it cannot either.
            log.info("no native mount for %s %s: %s", node.key.kind, node.key.id, problem)
        finally:
            del self._under_way[node.ino]
            event.set()

    # In worker threads

    def _begin(self) -> None:
        """Find our mount, note it for whoever cleans up after us, keep what is on it to us."""
        where = self._options.where
        found = mountinfo.at(where)
        if found is None or found.device != self._device:
            log.warning("%s: the tree is not there; no native mounts", where)
            return
        self._held.begin(found.target, found.id)
        if self._enabled:
            mount.make_private(where)
            self._root_id = found.id

    def _is_lost(self, ino: Ino) -> bool:
        """Whether the mount that we attached there was taken away by somebody else."""
        with self._lock:
            one = self._attached.get(ino)
        return one is None or one.mount not in self._targets()

    def _attach(self, node: ContentDirectory, path: str) -> None:
        with self._lock:
            lost = self._attached.pop(node.ino, None)
        try:
            self._attach_anew(node, path)
        finally:
            if lost is not None:  # only now: in between, nobody may find the content unused
                lost.give_back()

    def _attach_anew(self, node: ContentDirectory, path: str) -> None:
        with self._room():
            fd = node.source.open()
            try:
                self._place(fd, path)
                attached = Attached(node.ino, node.key, self._key_of(fd), node.source.close)
            except BaseException:
                node.source.close()
                raise
            finally:
                os.close(fd)
            with self._lock:
                self._attached[node.ino] = attached
                self._coming -= 1

    def _place(self, fd: int, path: str) -> None:
        """Attach the detached mount *fd* at *path* of our own tree, and nowhere else."""
        where = self._options.where
        root = os.open(where, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            if mountinfo.mount_id(root) != self._root_id:
                raise OSError(errno.EXDEV, "something else is mounted over the tree", where)
            mount.move_mount(fd, path.lstrip("/"), dir_fd=root)
        finally:
            os.close(root)

    def _key_of(self, fd: int) -> MountKey:
        """What tells the mount *fd*, which was just placed, from others."""
        number = mountinfo.mount_id(fd)
        found = next((key for key in self._targets() if key.id == number), None)
        if found is None:
            raise OSError(errno.ESTALE, "the native mount was taken away at once")
        return found

    def _targets(self) -> dict[MountKey, str]:
        """Mounts that stand on our tree now, and where."""
        return {
            MountKey(entry.id, entry.device): entry.target
            for entry in mountinfo.read()
            if entry.parent == self._root_id
        }

    @contextlib.contextmanager
    def _room(self) -> Iterator[None]:
        """Keep room for one more mount, until it is attached or has failed."""
        with self._lock:
            self._coming += 1
        try:
            self._make_room()
            yield
        except BaseException:
            with self._lock:
                self._coming -= 1
            raise

    def _make_room(self) -> None:
        """Take the oldest mounts that nobody uses away, until those that come are allowed."""
        with self._lock:
            oldest_first = sorted(self._attached.values(), key=lambda one: one.since)
            excess = len(oldest_first) + self._coming - self._options.native_max
        if excess <= 0:
            return
        targets = self._targets()
        for one in oldest_first:
            if excess > 0 and self._unmount(one, targets, flags=0):
                excess -= 1
        if excess > 0:
            raise OSError(errno.EMFILE, f"{self._options.native_max} native mounts are in use")

    def _expire_now(self) -> None:
        """The first call marks an unused mount, the second takes it away."""
        with self._lock:
            candidates = list(self._attached.values())
        targets = self._targets() if candidates else {}
        for one in candidates:
            self._unmount(one, targets, flags=mount.MNT_EXPIRE)

    def _unmount(self, one: Attached, targets: dict[MountKey, str], *, flags: int) -> bool:
        """Unmount and give the count back; False if the kernel says that it is in use."""
        target = targets.get(one.mount)
        if target is not None:
            try:
                mount.umount(target, flags | mount.UMOUNT_NOFOLLOW)
            except OSError as problem:
                if problem.errno in (errno.EBUSY, errno.EAGAIN):
                    return False
                if problem.errno not in (errno.EINVAL, errno.ENOENT):
                    log.warning("native mount at %s: %s", target, problem)
                    return False
        with self._lock:
            if self._attached.get(one.ino) is not one:
                return True
            del self._attached[one.ino]
        one.give_back()
        return True

    def _of(self, key: ObjectKey) -> list[Attached]:
        with self._lock:
            return [one for one in self._attached.values() if one.key == key]

    def detach(self, key: ObjectKey) -> None:
        """Take the mounts of an object away, before it is deleted; MountedError if one is busy."""
        mine = self._of(key)
        targets = self._targets() if mine else {}
        for one in mine:
            if not self._unmount(one, targets, flags=0):
                raise MountedError(
                    f"{key.kind} {key.id}",
                    [f"a process working in {targets[one.mount]}"],
                    remedy="end what works below that directory (see fuser -m), then try again",
                )

    def withdraw(self, key: ObjectKey, caller: Caller) -> None:
        """A deletion in the object was refused: what follows must meet us, not the kernel."""
        del caller
        mine = self._of(key)
        targets = self._targets() if mine else {}
        for one in mine:
            self._unmount(one, targets, flags=mount.MNT_DETACH)

    def detach_all(self) -> None:
        """Take everything away, in use or not; nothing is attached from now on."""
        self._closing = True
        with self._lock:
            everything = list(self._attached.values())
        targets = self._targets() if everything else {}
        for one in everything:
            with contextlib.suppress(OSError, StorageError):
                self._unmount(one, targets, flags=mount.MNT_DETACH)

    def attached(self) -> Sequence[str]:
        """Where native mounts stand now, as paths in the tree."""
        with self._lock:
            numbers = list(self._attached)
        return sorted(self._path_of(ino) for ino in numbers)


async def _came_by_path(caller: Caller) -> bool:
    """Whether the caller will walk its path again when it is told ESTALE."""
    for _ in range(_LOOKS):
        answer = names_a_path(caller.pid)
        if answer is not None:
            return answer
        await trio.sleep(0.001)
    return False
