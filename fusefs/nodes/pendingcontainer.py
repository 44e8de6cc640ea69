"""``containers/<name>/`` before it exists: what is written here becomes the container.

Used by: fusefs.nodes.containers. Knows nothing of: bound containers beyond their directory.
As in configfs: mkdir announces, files set values, ``ln -s IMAGE image`` creates, rmdir cancels.
"""

import errno
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from backend.errors import InvalidValueError
from backend.model.records import ContainerID
from fusefs.nodes import idmap
from fusefs.nodes.base import Caller, Node, missing, node_ino, refused
from fusefs.nodes.container import ContainerDirectory
from fusefs.nodes.context import TreeContext
from fusefs.nodes.editable import EditableFile, Value
from fusefs.nodes.imagelookup import image_of_target
from fusefs.nodes.links import passing_link
from fusefs.nodes.names import decode_lines, encode, encode_line
from fusefs.nodes.objects import flags_from, flags_text, metadata_from
from fusefs.nodes.pending import PendingContainer
from fusefs.nodes.places import image_path, up
from fusefs.nodes.text import Look, SyntheticDirectory

_VALUES: Final = (b"names", b"metadata", b"flags", b"idmap")
_NO_IMAGE: Final = b"scratch"
_IMAGE: Final = b"image"


def mount_options(flags: Mapping[str, Any]) -> Sequence[str]:
    """The mount options among a container's flags."""
    options = flags.get("MountOpts", ())
    if not isinstance(options, list | tuple):
        raise InvalidValueError("MountOpts", str(options), "it is no list of options")
    return [str(option) for option in options]


class PendingFile(EditableFile):
    """A value of a container that is not bound yet. The file of the bound one replaces it."""

    entry_timeout = 0.0


class PendingDirectory(SyntheticDirectory):
    """A container that is not bound yet. It has the inode number that the container will have."""

    entry_timeout = 0.0
    attr_timeout = 0.0

    def __init__(self, context: TreeContext, name: str, pending: PendingContainer) -> None:
        look = Look(context.uid, context.gid, pending.made_ns, pending.made_ns)
        super().__init__(node_ino("container", pending.id), lambda: look)
        self._context, self._name, self._id = context, name, ContainerID(pending.id)

    def child(self, name: bytes) -> Node:
        """A value; once it is bound, what the container has."""
        bound = self._bound()
        if bound is not None:
            return bound.child(name)
        self._pending()
        if name not in _VALUES:
            raise missing(name)
        return self._value(name.decode())

    def names(self) -> Sequence[bytes]:
        """The values; once it is bound, what the container has."""
        bound = self._bound()
        if bound is not None:
            return bound.names()
        self._pending()
        return _VALUES

    def make_link(self, name: bytes, target: bytes, caller: Caller) -> Node:
        """``image`` creates the container from the image that *target* means."""
        bound = self._bound()
        if bound is not None:
            return bound.make_link(name, target, caller)
        if name != _IMAGE:
            raise refused(name)
        pending = self._pending()
        table = self._context.records().images
        place = (b"containers", encode(self._name))
        image = None if target == _NO_IMAGE else image_of_target(table, place, target)
        self._context.store.containers.create(
            id=pending.id,
            names=pending.names,
            image=image.id if image else None,
            metadata=pending.metadata,
            uid_map=pending.uid_map,
            gid_map=pending.gid_map,
            flags=pending.flags,
            mount_options=mount_options(pending.flags),
            volatile=pending.flags.get("Volatile") is True,
            process_label=str(pending.flags.get("ProcessLabel", "")),
            mount_label=str(pending.flags.get("MountLabel", "")),
        )
        self._context.pending.remove_container(self._name)
        shown = up(2, image_path(image.id)) if image else target
        return passing_link(self.ino, name, shown, self._look)

    def unlink(self, name: bytes, caller: Caller) -> None:
        """Refused."""
        bound = self._bound()
        if bound is not None:
            bound.unlink(name, caller)
            return
        raise refused(name) if name in _VALUES else missing(name)

    def _bound(self) -> ContainerDirectory | None:
        known = self._id in self._context.records().containers
        return ContainerDirectory(self._context, self._id) if known else None

    def _pending(self) -> PendingContainer:
        found = self._context.pending.container_with_id(self._id)
        if found is None:
            raise OSError(errno.ESTALE, os.strerror(errno.ESTALE), self._name)
        self._name, pending = found
        return pending

    def _value(self, role: str) -> PendingFile:
        read, write = self._forms()[role]
        value = Value(
            read=lambda: read(self._pending()),
            write=write,
            size=lambda: len(read(self._pending())),
            given_up=self._given_up,
        )
        return PendingFile(node_ino("container", self._id, role), self._look, value)

    def _forms(
        self,
    ) -> dict[str, tuple[Callable[[PendingContainer], bytes], Callable[[bytes], None]]]:
        """How each value is read, and what writing it does."""
        return {
            "names": (
                lambda pending: b"".join(encode_line(name) for name in pending.names),
                lambda text: self._change(names=decode_lines(text)),
            ),
            "metadata": (
                lambda pending: pending.metadata.encode("utf-8", "surrogateescape"),
                lambda text: self._change(metadata=metadata_from(text)),
            ),
            "flags": (
                lambda pending: flags_text(pending.flags),
                lambda text: self._change(flags=flags_from(text)),
            ),
            "idmap": (
                lambda pending: idmap.as_text(pending.uid_map, pending.gid_map),
                self._set_idmap,
            ),
        }

    def _set_idmap(self, text: bytes) -> None:
        uid_map, gid_map = idmap.from_text(text)
        self._change(uid_map=uid_map, gid_map=gid_map)

    def _change(self, **values: object) -> None:
        self._pending()
        self._context.pending.change_container(self._name, **values)

    def _given_up(self, failure: Exception) -> None:
        path = f"containers/{self._name}"
        self._context.journal.refused(
            None, "release", path, errno.EIO, reason=str(failure), remedy=""
        )
