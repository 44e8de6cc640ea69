"""``containers/``: all containers, under their names and IDs; pending ones too.

Used by: fusefs.nodes.root. Knows nothing of: what a container's directory holds.
"""

import errno
import os
import time
from collections.abc import Mapping, Sequence

from backend.errors import ContainerUnknownError, DuplicateNameError
from backend.model.records import Container, ContainerID
from backend.model.snapshot import ContainerTable
from drivers.ids import generate_id
from fusefs.nodes.base import Caller, Directory, Node, RefusedError, RenameMode, missing
from fusefs.nodes.container import ContainerDirectory
from fusefs.nodes.context import TreeContext
from fusefs.nodes.derived import once_per
from fusefs.nodes.guard import ObjectKey
from fusefs.nodes.links import LinkDirectory, link_node
from fusefs.nodes.listings import Listing, by_prefix
from fusefs.nodes.names import LONGEST, decode, encode
from fusefs.nodes.pending import PendingContainer
from fusefs.nodes.pendingcontainer import PendingDirectory
from fusefs.nodes.places import CONTAINER_LISTINGS, CONTAINERS, ContainerNames, container_names


class ContainersDirectory(Listing):
    """The listing. mkdir announces a container, rmdir deletes one, mv renames, ln -s names."""

    def __init__(self, context: TreeContext) -> None:
        super().__init__(context, CONTAINERS)

    def child(self, name: bytes) -> Node:
        """The listing by ID, a container, a symlink from another name or the beginning of an ID."""
        if name in CONTAINER_LISTINGS:
            return LinkDirectory(self.number("by-id"), self._look, self._links_by_id)
        text = decode(name)
        pending = self.context.pending.container(text)
        if pending is not None:
            return PendingDirectory(self.context, text, pending)
        names = self._names()
        if name in names.directories:
            return ContainerDirectory(self.context, ContainerID(names.directories[name]))
        if name in names.aliases:
            return link_node(self.ino, name, names.place[names.aliases[name]], self._look)
        container = self._found(text)
        if container is None or container.id not in names.place:
            raise missing(name)
        return self.also_known_as(name, names.place[container.id])

    def names(self) -> Sequence[bytes]:
        """The listing by ID, containers, their further names, pending containers."""
        names = self._names()
        pending = (
            encode(name, reserved=CONTAINER_LISTINGS) for name in self.context.pending.containers()
        )
        listed = (*CONTAINER_LISTINGS, *names.directories, *names.aliases, *pending)
        return tuple(dict.fromkeys(listed))

    def make_directory(self, name: bytes, mode: int, caller: Caller) -> Node:
        """Announce a container; it exists in memory until it is bound to an image."""
        del mode, caller
        text = _name_from(name)
        self._refuse_taken(text)
        pending = PendingContainer(id=generate_id(), names=(text,), made_ns=time.time_ns())
        self.context.pending.add_container(text, pending)
        return PendingDirectory(self.context, text, pending)

    def remove_directory(self, name: bytes, caller: Caller) -> None:
        """Cancel what is pending under this name; else delete the container."""
        text = decode(name)
        if self.context.pending.container(text) is not None:
            self.context.pending.remove_container(text)
            return
        names = self._names()
        identifier = names.directories.get(name)
        if identifier is None:
            known = name in names.aliases or self._found(text) is not None
            code = errno.ENOTDIR if known else errno.ENOENT
            raise OSError(code, os.strerror(code), os.fsdecode(name))
        key = ObjectKey("container", identifier)
        self.context.guard.check(key, caller, name)
        self.context.content.withdraw(key)
        self.context.store.containers.delete(identifier)

    def make_link(self, name: bytes, target: bytes, caller: Caller) -> Node:
        """Give the container that *target* means one more name."""
        del caller
        text = _name_from(name)
        self._refuse_taken(text)
        meant = decode(target.rstrip(b"/").rpartition(b"/")[2])
        container = self._found(meant)
        if container is None:
            raise ContainerUnknownError(target.decode("utf-8", "replace"))
        self.context.store.containers.set_names(container.id, (*container.names, text))
        place = self._names().place.get(container.id, encode(container.id))
        return link_node(self.ino, name, place, self._look)

    def unlink(self, name: bytes, caller: Caller) -> None:
        """Take a further name away from its container."""
        del caller
        names = self._names()
        if name not in names.aliases:
            if name in names.directories:
                raise IsADirectoryError(errno.EISDIR, "rmdir deletes it", os.fsdecode(name))
            if self._found(decode(name)) is None:
                raise missing(name)
            remedy = "rmdir the directory that it leads to, to delete the container"
            raise RefusedError("this is only looked up", name, remedy=remedy)
        self.context.store.containers.remove_names(names.aliases[name], [decode(name)])

    def rename(
        self, name: bytes, to: Directory, to_name: bytes, mode: RenameMode, caller: Caller
    ) -> None:
        """Give a container another name instead of this one."""
        del caller
        if to.ino != self.ino or mode & RenameMode.EXCHANGE:
            remedy = "rename it inside containers/"
            raise RefusedError("a container stays in containers/", name, remedy=remedy)
        old, new = decode(name), _name_from(to_name)
        if old == new:
            return
        self._refuse_taken(new)
        if self.context.pending.container(old) is not None:
            self.context.pending.rename_container(old, new)
            return
        names = self._names()
        identifier = names.directories.get(name) or names.aliases.get(name)
        container = self.context.records().containers.get(identifier or "")
        if container is None:
            raise missing(name)
        renamed = tuple(new if known == old else known for known in container.names)
        self.context.store.containers.set_names(container.id, renamed or (new,))

    def _names(self) -> ContainerNames:
        return container_names(self.context.records().containers)

    def _found(self, text: str) -> Container | None:
        """Exact ID, name, layer ID, then the unique beginning of an ID."""
        table = self.context.records().containers
        exact = table.get(text) or table.by_name.get(text) or table.by_layer.get(text)
        return exact or by_prefix(table, text, ContainerUnknownError)

    def _refuse_taken(self, name: str) -> None:
        owner = self.context.records().containers.by_name.get(name)
        if owner is not None:
            raise DuplicateNameError("container", name, owner.id)
        if self.context.pending.container(name) is not None:
            raise DuplicateNameError("container", name, "a container that is not bound yet")

    def _links_by_id(self) -> Mapping[bytes, bytes]:
        return links_by_id(self.context.records().containers)


def _name_from(component: bytes) -> str:
    """The container name that a component stands for."""
    if len(component) > LONGEST:
        code = errno.ENAMETOOLONG
        raise OSError(code, os.strerror(code), os.fsdecode(component))
    if component in CONTAINER_LISTINGS:
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), os.fsdecode(component))
    return decode(component)


@once_per
def links_by_id(table: ContainerTable) -> Mapping[bytes, bytes]:
    """Links from IDs to the directories of containers, from ``containers/by-id/``."""
    place = container_names(table).place
    return {encode(identifier): b"../" + component for identifier, component in place.items()}
