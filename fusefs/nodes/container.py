"""``containers/<name>/``: one container.

Used by: fusefs.nodes.containers. Knows nothing of: how content is shown (ContentProvider).
"""

import errno
import os
from collections.abc import Mapping
from typing import Final

from backend.model.records import Container, ContainerID
from drivers.protocol import Change
from fusefs.nodes import idmap
from fusefs.nodes.base import Caller, Directory, Node, gone
from fusefs.nodes.context import TreeContext
from fusefs.nodes.entries import Entry, editable, link, probe, text
from fusefs.nodes.health import container_health
from fusefs.nodes.layer import change_entries, mount_count
from fusefs.nodes.objects import (
    COMMON,
    Entries,
    ObjectDirectory,
    flags_from,
    flags_text,
    value_line,
)
from fusefs.nodes.places import image_path, layer_path, up

_DEPTH: Final = 2


class ContainerDirectory(ObjectDirectory):
    """One container: its record, what it stands on, its files."""

    def __init__(self, context: TreeContext, identifier: ContainerID) -> None:
        super().__init__(context, "container", identifier)
        self._id = identifier

    def container(self) -> Container:
        """The record as last seen; ESTALE if it is gone."""
        container = self.context.records().containers.get(self._id)
        if container is None:
            raise gone(f"container {self._id}")
        return container

    def entries(self) -> Entries:
        """Attribute files first, content last."""
        return _ENTRIES

    def shown_attributes(self) -> Mapping[str, str]:
        """ID, image, and its own layer's digest where it has one."""
        container = self.container()
        layer = self.context.records().layers.get(container.layer)
        return {
            "id": container.id,
            "image": container.image,
            "digest": layer.diff_digest if layer else "",
            "parent": (layer.parent or "") if layer else "",
        }

    def make_link(self, name: bytes, target: bytes, caller: Caller) -> Node:
        """Refused: a container has its image for life."""
        if name in self.names():
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), os.fsdecode(name))
        return super().make_link(name, target, caller)

    def image_link(self) -> bytes | None:
        """Where ``image`` leads."""
        image = self.container().image
        return up(_DEPTH, image_path(image)) if image else None

    def layer_link(self) -> bytes:
        """Where ``layer`` leads."""
        return up(_DEPTH, layer_path(self.container().layer))

    def userdata(self) -> Directory:
        """The container's own directory."""
        return self.context.content.container_userdata(self._id)

    def rundir(self) -> Directory:
        """Its run directory."""
        return self.context.content.container_rundir(self._id)

    def rootfs(self) -> Directory:
        """Its merged, writable root file system."""
        return self.context.content.container_rootfs(self._id)

    def set_flags(self, written: bytes) -> None:
        """Replace the flags by what was written."""
        self.context.store.containers.set_flags(self._id, flags_from(written))

    def idmap_text(self) -> bytes:
        """How its users and groups are mapped."""
        container = self.container()
        return idmap.as_text(container.uid_map, container.gid_map)

    def mount_count_text(self) -> bytes:
        """How often it is mounted, as the store counts."""
        return value_line(str(mount_count(self.context, self.container().layer)))

    def changes(self) -> list[Change]:
        """What the container changed; computed by the driver."""
        return list(self.context.store.layers.changes(self.container().layer))


_ENTRIES: Final[Mapping[bytes, Entry[ContainerDirectory]]] = {
    **COMMON,
    b"flags": editable(
        "flags", lambda it: flags_text(it.container().flags), ContainerDirectory.set_flags
    ),
    b"idmap": text("idmap", ContainerDirectory.idmap_text),
    b"mount-count": text("mount-count", ContainerDirectory.mount_count_text),
    b"health": probe("health", lambda it: value_line(container_health(it.context, it.container()))),
    **change_entries(ContainerDirectory.changes),
    b"image": link("image", ContainerDirectory.image_link),
    b"layer": link("layer", ContainerDirectory.layer_link),
    b"bigdata": Entry(ContainerDirectory.bigdata),
    b"userdata": Entry(ContainerDirectory.userdata),
    b"rundir": Entry(ContainerDirectory.rundir),
    b"diff": link("diff", lambda it: it.layer_link() + b"/diff"),
    b"rootfs": Entry(ContainerDirectory.rootfs),
}
