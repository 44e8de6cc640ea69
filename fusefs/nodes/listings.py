"""What the three listings of objects share: look-ups by prefix and name, the look of a directory.

Used by: fusefs.nodes.layers, images, containers. Knows nothing of: what is special to a kind.
"""

from collections.abc import Callable
from typing import Final, TypeVar

from backend.errors import UnknownObjectError
from backend.model.records import Container, Image, Layer
from backend.model.snapshot import Table
from fusefs.nodes.base import Ino, Node, node_ino
from fusefs.nodes.context import TreeContext
from fusefs.nodes.links import passing_link
from fusefs.nodes.text import Look, SyntheticDirectory

SHORTEST_PREFIX: Final = 4
"""Characters of an ID that are looked up. With fewer, ``mkdir containers/db`` would say EEXIST
whenever an ID begins with db: mkdir(2) looks up the name first."""

R = TypeVar("R", Layer, Image, Container)


def by_prefix(table: Table[R], reference: str, unknown: type[UnknownObjectError]) -> R | None:
    """The one record whose ID begins with *reference*; None if no ID does.

    Raises the error *unknown* where several do.
    """
    if len(reference) < SHORTEST_PREFIX:
        return None
    near = table.with_prefix(reference)
    if len(near) > 1:
        raise unknown(reference, ambiguous=True)
    return near[0] if near else None


def tree_look(context: TreeContext) -> Callable[[], Look]:
    """Owner and times of a directory that is not an object's."""
    look = Look(context.uid, context.gid, context.started_ns, context.started_ns)
    return lambda: look


def listing_ino(directory: Ino, *role: str) -> Ino:
    """Inode number of a listing in another one."""
    return node_ino("listing", f"{directory:x}", *role)


class Listing(SyntheticDirectory):
    """A directory of objects, with further listings in it under fixed names."""

    def __init__(self, context: TreeContext, ino: Ino) -> None:
        super().__init__(ino, tree_look(context))
        self.context = context

    def number(self, *role: str) -> Ino:
        """Inode number of a listing in this one."""
        return listing_ino(self.ino, *role)

    def also_known_as(self, name: bytes, target: bytes) -> Node:
        """The symlink for a name that is looked up and not listed."""
        return passing_link(self.ino, name, target, self._look)
