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
from fusefs.nodes.base import Caller, Node, gone
from fusefs.nodes.context import TreeContext
from fusefs.nodes.health import container_health
from fusefs.nodes.layer import change_entries, mount_count
from fusefs.nodes.objects import Entries, ObjectDirectory, flags_from, flags_text, value_line
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
        container = self.container()
        content = self.context.content
        entries = self.common_head()
        entries |= {
            b"flags": self.editable(
                "flags", lambda: flags_text(self.container().flags), self._set_flags
            ),
            b"idmap": self.text("idmap", self._idmap_text),
            b"mount-count": self.text("mount-count", self._mount_count_text),
            b"health": self.disk_text(
                "health", lambda: value_line(container_health(self.context, self.container()))
            ),
            **change_entries(self, self._changes),
        }
        if container.image:
            entries[b"image"] = self.link("image", up(_DEPTH, image_path(container.image)))
        layer = up(_DEPTH, layer_path(container.layer))
        entries |= {
            b"layer": self.link("layer", layer),
            b"bigdata": self.bigdata,
            b"userdata": lambda: content.container_userdata(self._id),
            b"rundir": lambda: content.container_rundir(self._id),
            b"diff": self.link("diff", layer + b"/diff"),
            b"rootfs": lambda: content.container_rootfs(self._id),
        }
        return entries

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
        if name in self.entries():
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), os.fsdecode(name))
        return super().make_link(name, target, caller)

    def _set_flags(self, text: bytes) -> None:
        self.context.store.containers.set_flags(self._id, flags_from(text))

    def _idmap_text(self) -> bytes:
        container = self.container()
        return idmap.as_text(container.uid_map, container.gid_map)

    def _mount_count_text(self) -> bytes:
        return value_line(str(mount_count(self.context, self.container().layer)))

    def _changes(self) -> list[Change]:
        return list(self.context.store.layers.changes(self.container().layer))
