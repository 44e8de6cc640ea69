"""What exists in memory only: containers before they are bound, directories of names (no nodes).

Used by: the nodes of containers and of image names, through TreeContext.pending.
Knows nothing of: FUSE, the store. Thread-safe. Gone at unmount, as in configfs.
"""

import errno
import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

from drivers.idmap.maps import IDMap


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingContainer:
    """A container that ``mkdir`` announced and ``ln -s IMAGE image`` will create.

    ``id`` is the one that the container will have, so that its directory keeps its number.
    """

    id: str
    names: tuple[str, ...]
    metadata: str = ""
    flags: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    uid_map: tuple[IDMap, ...] = ()
    gid_map: tuple[IDMap, ...] = ()
    made_ns: int = 0


class Pending:
    """All that is pending in one mounted tree."""

    def __init__(self) -> None:
        # Touched under the lock. Directory name of the container to what is known of it, and
        # paths of name directories below images/, as tuples of components.
        self._lock = threading.Lock()
        self._containers: dict[str, PendingContainer] = {}
        self._directories: set[tuple[bytes, ...]] = set()

    def containers(self) -> Mapping[str, PendingContainer]:
        """Pending containers by their directory name."""
        with self._lock:
            return dict(self._containers)

    def container(self, name: str) -> PendingContainer | None:
        """The pending container whose directory has this name."""
        with self._lock:
            return self._containers.get(name)

    def container_with_id(self, identifier: str) -> tuple[str, PendingContainer] | None:
        """Directory name and state of the pending container that will have this ID."""
        with self._lock:
            for name, container in self._containers.items():
                if container.id == identifier:
                    return name, container
        return None

    def add_container(self, name: str, container: PendingContainer) -> None:
        """Announce one. Raises FileExistsError if the name is pending already."""
        with self._lock:
            self._refuse_taken(name)
            self._containers[name] = container

    def change_container(self, name: str, **values: Any) -> None:
        """Set fields of a pending container; FileNotFoundError if it is bound or cancelled."""
        with self._lock:
            self._containers[name] = replace(self._still(name), **values)

    def remove_container(self, name: str) -> None:
        """Cancel one, or forget it because it is bound."""
        with self._lock:
            self._containers.pop(name, None)

    def rename_container(self, name: str, to: str) -> None:
        """Give it another directory name, which becomes its first name.

        Raises FileNotFoundError if it is bound or cancelled, FileExistsError for a pending name.
        """
        with self._lock:
            container = self._still(name)
            self._refuse_taken(to)
            del self._containers[name]
            names = (to, *(other for other in container.names if other not in (name, to)))
            self._containers[to] = replace(container, names=names)

    def _still(self, name: str) -> PendingContainer:
        container = self._containers.get(name)
        if container is None:
            raise FileNotFoundError(errno.ENOENT, "no longer pending", name)
        return container

    def _refuse_taken(self, name: str) -> None:
        if name in self._containers:
            raise FileExistsError(errno.EEXIST, "it is pending already", name)

    def add_directory(self, path: tuple[bytes, ...]) -> None:
        """Announce a directory of image names. Raises FileExistsError if it is there."""
        with self._lock:
            if path in self._directories:
                raise FileExistsError(errno.EEXIST, "it is there already", os.fsdecode(path[-1]))
            self._directories.add(path)

    def remove_directory(self, path: tuple[bytes, ...]) -> bool:
        """Forget it; False if it was not pending."""
        with self._lock:
            known = path in self._directories
            self._directories.discard(path)
            return known

    def has_directory(self, path: tuple[bytes, ...]) -> bool:
        """Whether this directory of names was announced."""
        with self._lock:
            return path in self._directories

    def directories_below(self, path: tuple[bytes, ...]) -> list[bytes]:
        """Names of the announced directories in directory *path*."""
        depth = len(path)
        with self._lock:
            return sorted(
                d[-1] for d in self._directories if len(d) == depth + 1 and d[:depth] == path
            )
