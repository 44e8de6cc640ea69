"""Who owns what in a view, and where its symlinks point, where that is not shown as stored (pure).

Used by: fusefs.nodes.content (chooses), fusefs.nodes.passthrough_view and the nodes of a view.
Knows nothing of: disks, stores, requests. A view that shows everything as stored has none of this.
"""

import errno
import os
import stat
from dataclasses import dataclass
from typing import Final, Literal, Protocol

from drivers.idmap.maps import IDMap, through, to_container, to_host
from fusefs.nodes.base import Attributes

OVERFLOW_ID: Final = 65534
"""Owner, as the kernel shows it, of what belongs to nobody in the container."""

RAW_TARGET: Final = b"system.containers.target"
"""Extended attribute with the target as stored. The kernel keeps ``user.`` from symlinks and
``trusted.`` from everyone but root."""


class Owners(Protocol):
    """How owners are translated between the disk and the tree."""

    def shown(self, attributes: Attributes) -> Attributes:
        """The attributes of a file as the tree shows them."""
        ...

    def creator(self, uid: int, gid: int) -> tuple[int, int]:
        """Owner and group on disk of what a caller makes. Raises OSError if there are none."""
        ...

    def stored(self, uid: int | None, gid: int | None) -> tuple[int, int]:
        """Arguments of chown(2) on disk for one in the tree. Raises OSError if there are none."""
        ...


@dataclass(frozen=True, slots=True)
class Contained:
    """Owners as the container sees them.

    ``shifted`` content is below the container unmapped, as images have it, unless the kernel maps
    it: an ID without a range is then the container's already.
    """

    uid_map: tuple[IDMap, ...]
    gid_map: tuple[IDMap, ...]
    shifted: bool = False

    def shown(self, attributes: Attributes) -> Attributes:
        """IDs of the container; nobody's where it has none."""
        return attributes._replace(
            uid=self._inside(attributes.uid, self.uid_map),
            gid=self._inside(attributes.gid, self.gid_map),
        )

    def _inside(self, identifier: int, ranges: tuple[IDMap, ...]) -> int:
        found = to_container(identifier, ranges)
        if found is not None:
            return found
        return identifier if self.shifted else OVERFLOW_ID

    def creator(self, uid: int, gid: int) -> tuple[int, int]:
        """What the caller's IDs mean inside."""
        return self.stored(uid, gid)

    def stored(self, uid: int | None, gid: int | None) -> tuple[int, int]:
        """Host IDs; EOVERFLOW for an ID that the container does not have."""
        return _on_host(uid, self.uid_map), _on_host(gid, self.gid_map)


@dataclass(frozen=True, slots=True)
class Mine:
    """Everything belongs to the user who mounted the tree, and can be read by that user.

    ``maker`` owns, on disk, what is made through the tree.
    """

    uid: int
    gid: int
    maker: tuple[int, int]

    def shown(self, attributes: Attributes) -> Attributes:
        """The mounting user's, with the permission to read."""
        readable = stat.S_IRUSR | (stat.S_IXUSR if stat.S_ISDIR(attributes.mode) else 0)
        return attributes._replace(mode=attributes.mode | readable, uid=self.uid, gid=self.gid)

    def creator(self, uid: int, gid: int) -> tuple[int, int]:
        """Whoever makes it, it is the container's root's."""
        del uid, gid
        return self.maker

    def stored(self, uid: int | None, gid: int | None) -> tuple[int, int]:
        """Owners stay as they are; EPERM for any but the one that is shown."""
        if uid in {None, self.uid} and gid in {None, self.gid}:
            return -1, -1
        raise OSError(errno.EPERM, "with ids=mounter everything belongs to the mounting user")


@dataclass(frozen=True, slots=True, kw_only=True)
class Looks:
    """What a mount asks of its views; ``uid`` and ``gid`` are the mounting user's.

    ``uid_map`` and ``gid_map`` are those of the user namespace that the store belongs to, where we
    look at it from outside.
    """

    ids: Literal["host", "container", "mounter"] = "host"
    rebase: bool = False
    uid: int = 0
    gid: int = 0
    uid_map: tuple[IDMap, ...] = ()
    gid_map: tuple[IDMap, ...] = ()

    def owners(
        self, uid_map: tuple[IDMap, ...], gid_map: tuple[IDMap, ...], *, shifted: bool = False
    ) -> Owners | None:
        """How owners are translated in a view of content with these maps; None: not at all."""
        uid_map, gid_map = through(uid_map, self.uid_map), through(gid_map, self.gid_map)
        if self.ids == "mounter":
            maker = _root(uid_map, self.uid), _root(gid_map, self.gid)
            return Mine(self.uid, self.gid, maker)
        if self.ids == "container" and (uid_map or gid_map):
            return Contained(uid_map, gid_map, shifted)
        return None


AS_STORED: Final = Looks()


def rebased(target: bytes, depth: int) -> bytes:
    """The target of a symlink so that it stays in its view.

    *depth* is the number of directories between the view's root and the link. An absolute target
    begins at the view's root; ``..`` does not lead above it, as after chroot(2). What is changed
    by other symlinks on the way cannot be seen here: those are rebased themselves.
    """
    absolute = target.startswith(b"/")
    level, kept, clamped = (0 if absolute else depth), list[bytes](), False
    for component in target.split(b"/"):
        if component == b"..":
            if not level:
                clamped = True
                continue
            level -= 1
        elif component not in {b"", b"."}:
            level += 1
        elif component == b"" and not kept:
            continue
        kept.append(component)
    if not absolute and not clamped:
        return target
    return b"/".join([*([b".."] * depth if absolute else ()), *kept]) or b"."


def _root(ranges: tuple[IDMap, ...], nobody_else: int) -> int:
    """Host ID of the container's root; that of the mounting user where IDs are not mapped."""
    found = to_host(0, ranges) if ranges else None
    return nobody_else if found is None else found


def _on_host(identifier: int | None, ranges: tuple[IDMap, ...]) -> int:
    if identifier is None:
        return -1
    found = to_host(identifier, ranges)
    if found is None:
        raise OSError(errno.EOVERFLOW, os.strerror(errno.EOVERFLOW))
    return found
