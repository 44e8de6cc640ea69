"""Mount counts that this daemon holds in the store, and the note of them that survives a crash.

Used by: fusefs.session, fusefs.nodes.content (through its Holder protocol), fusefs.native.
Knows nothing of: FUSE, views, how a count is stored.

A container that is mounted for us is counted in mountpoints.json like by any other tool. Each
daemon keeps a note, RUNROOT/storagefs/NAME.json, of the counts that it holds and of its own mount,
and a lock beside it for as long as it lives. A note whose lock is free is that of a dead daemon:
whoever starts next gives its counts back. The note errs towards a count too many: a mount that
stays is a nuisance, one that goes while a container runs is a disaster.
"""

import contextlib
import errno
import json
import logging
import os
import time
from collections import Counter
from dataclasses import dataclass, field
from threading import Lock
from typing import TYPE_CHECKING, Any, Final

from backend.errors import UnknownObjectError
from backend.model.records import ContainerID
from drivers.errors import StorageError
from drivers.ids import LayerID
from drivers.linux import atomicfile, capability, mount, mountinfo, recordlock, regularfile
from fusefs import fusermount

if TYPE_CHECKING:
    from backend.store import Store

log: Final = logging.getLogger("storagefs")

_DIRECTORY: Final = "storagefs"
_PATIENCE: Final = 5.0


@dataclass(slots=True)
class Note:
    """What a daemon holds. ``pending`` is a count under way: its layer and the count before."""

    pid: int = 0
    mount_point: str = ""
    mount_id: int = 0
    held: dict[LayerID, int] = field(default_factory=dict)
    pending: dict[LayerID, int] = field(default_factory=dict)

    def encoded(self) -> bytes:
        """As stored."""
        members = {name: getattr(self, name) for name in self.__slots__}
        return json.dumps(members).encode()  # noqa: TID251 - a file of our own, no Go tool reads it

    @classmethod
    def decoded(cls, data: bytes) -> "Note":
        """From what is stored; ValueError if it is something else."""
        members: Any = json.loads(data)
        if not isinstance(members, dict) or set(members) != set(cls.__slots__):
            raise ValueError("not a note of held mounts")
        for counts in (members["held"], members["pending"]):
            if not isinstance(counts, dict) or {type(count) for count in counts.values()} - {int}:
                raise ValueError("not a note of held mounts")
        return cls(**members)


class HeldMounts:
    """The counts of this daemon. Thread-safe; its methods may wait for the store's locks."""

    def __init__(self, store: "Store", run_root: str) -> None:
        self._store = store
        self._directory = os.path.join(run_root, _DIRECTORY)
        self._path = os.path.join(self._directory, f"{os.getpid()}.json")
        self._alive: int | None = None
        self._note = Note(pid=os.getpid())
        self._lock = Lock()
        # Which layer a container had when its count was taken, for as long as one is held.
        self._layers: dict[ContainerID, LayerID] = {}

    def begin(self, mount_point: str, mount_id: int) -> None:
        """The tree is mounted: from now on others can find out what to clean up after us."""
        with self._lock:
            self._note.mount_point, self._note.mount_id = mount_point, mount_id
            self._save()

    def take(self, container: ContainerID) -> str:
        """Mount a container and count it; return where it is mounted."""

        def on_count(layer: LayerID, before: int) -> None:
            with self._lock:
                self._layers[container] = layer
                self._note.pending[layer] = before
                self._note.held[layer] = self._note.held.get(layer, 0) + 1
                self._save()

        try:
            place = self._store.mounts.mount(container, on_count=on_count)
        except (OSError, StorageError):
            self._settle(container, taken=False)
            raise
        self._settle(container, taken=True)
        return place

    def _settle(self, container: ContainerID, *, taken: bool) -> None:
        with self._lock:
            layer = self._layers.get(container)
            if layer is None or self._note.pending.pop(layer, None) is None:
                return
            if not taken:
                self._less(layer)
            try:
                self._save()
            except OSError as problem:  # with the count before, it tells as much as the new one
                log.warning("note of held mounts: %s", problem)

    def give_back(self, container: ContainerID) -> None:
        """Undo one :meth:`take`. A store that refuses is logged: nobody could do more about it.

        What cannot be taken out of the note stays counted: the next daemon gives it back.
        """
        try:
            with self._lock:
                layer = self._layers.get(container)
                if layer is None or not self._note.held.get(layer):
                    return
                self._less(layer)
                try:
                    self._save()
                except OSError:
                    self._layers[container] = layer
                    self._note.held[layer] = self._note.held.get(layer, 0) + 1
                    raise
            self._store.mounts.unmount(layer)
        except UnknownObjectError:
            return  # somebody deleted the container, and its count with it
        except (OSError, StorageError) as problem:
            log.warning("mount of container %s: %s", container, problem)

    def _less(self, layer: LayerID) -> None:
        left = self._note.held.get(layer, 0) - 1
        if left > 0:
            self._note.held[layer] = left
        else:
            self._note.held.pop(layer, None)
            for container in [one for one, its in self._layers.items() if its == layer]:
                del self._layers[container]

    def held(self) -> dict[LayerID, int]:
        """Counts held now."""
        with self._lock:
            return dict(self._note.held)

    def end(self) -> None:
        """All is given back: take the note away.

        Where the connection broke, the dead tree is still there, perhaps with mounts that count:
        then the note stays, for whoever starts next.
        """
        with self._lock:
            if self._alive is None:
                return
            if not self._note.held and not _is_there(self._note):
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(self._path)
            recordlock.give_up_file(_lock_of(self._path), self._alive)
            self._alive = None

    def _save(self) -> None:
        if self._alive is None:
            os.makedirs(self._directory, 0o700, exist_ok=True)
            self._alive = _own_lock(self._path)
        atomicfile.replace(self._path, self._note.encoded())


def recover(store: "Store", run_root: str) -> list[str]:
    """Clean up after daemons that were killed; return their mount points.

    Their dead trees are found in the kernel's table, never by asking them, and detached with all
    that is attached on them; then their counts are given back.
    """
    directory = os.path.join(run_root, _DIRECTORY)
    try:
        names = sorted(name for name in os.listdir(directory) if name.endswith(".json"))
    except FileNotFoundError:
        return []
    alive: set[tuple[str, int]] = set()
    with contextlib.ExitStack() as held:
        dead = []
        for path in (os.path.join(directory, name) for name in names):
            lock = recordlock.take_file(_lock_of(path))
            if lock is None:
                alive |= _mount_of(path)
            else:
                held.callback(recordlock.give_up_file, _lock_of(path), lock)
                dead.append(path)
        return [place for path in dead for place in _clean_up(store, path, alive)]


def _mount_of(path: str) -> set[tuple[str, int]]:
    """Mount point and ID in the note of a daemon that lives; nothing where it has none yet."""
    try:
        note = Note.decoded(regularfile.read(path))
    except (OSError, ValueError, TypeError, RecursionError):
        return set()
    return {(note.mount_point, note.mount_id)}


def _lock_of(path: str) -> str:
    """The lock file of a note."""
    return f"{path}.lock"


def _own_lock(path: str) -> int:
    """Lock our own note; who cleans up after an earlier process of our number is soon done."""
    deadline = time.monotonic() + _PATIENCE
    while (lock := recordlock.take_file(_lock_of(path))) is None:
        if time.monotonic() > deadline:
            raise OSError(errno.EBUSY, "another process holds the note of ours", path)
        time.sleep(_PATIENCE / 100)
    return lock


def _clean_up(store: "Store", path: str, alive: set[tuple[str, int]]) -> list[str]:
    try:
        note = Note.decoded(regularfile.read(path))
    except FileNotFoundError:
        return []  # another daemon was faster
    except (OSError, ValueError, TypeError, RecursionError) as problem:
        log.warning("%s: %s; it is left alone", path, problem)
        return []
    if (note.mount_point, note.mount_id) not in alive:  # the kernel gives numbers out again
        _detach_dead(note)
    counts = Counter(note.held)
    for layer, before in note.pending.items():
        with contextlib.suppress(UnknownObjectError):  # deleted since
            if store.mounts.count(layer) <= before:
                counts[layer] -= 1  # it died before the count was stored
    if held := {layer: count for layer, count in counts.items() if count > 0}:
        store.mounts.repair(held)
    os.unlink(path)
    return [note.mount_point]


def _detach_dead(note: Note) -> None:
    if not _is_there(note):
        return
    if capability.can_mount():
        mount.umount(note.mount_point, mount.MNT_DETACH | mount.UMOUNT_NOFOLLOW)
    else:
        fusermount.unmount(note.mount_point, lazy=True)


def _is_there(note: Note) -> bool:
    """Whether the tree of a note, alive or dead, is in the kernel's table."""
    return any(
        (entry.id, entry.target) == (note.mount_id, note.mount_point)
        and entry.fstype.startswith("fuse")
        for entry in mountinfo.read()
    )
