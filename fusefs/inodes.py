"""Which node each inode number stands for, and how often the kernel holds it.

Used by: fusefs.answering. Knows nothing of: FUSE, event loops, what a node does.
Rule: every name that is given to the kernel (lookup, create, a line of readdir) is one hold; the
kernel gives holds back by forget. Touched only between two awaits, so without a lock.
"""

import errno
import os
from dataclasses import dataclass

from fusefs.nodes.base import ROOT_INO, Directory, Ino, Node


@dataclass(frozen=True, slots=True)
class InodeStatistics:
    """How much the kernel holds: numbers (the root not counted), and lookups of them."""

    known: int
    lookups: int


class _Held:
    """One number. ``parent`` and ``name`` are where it was last seen, for messages only."""

    __slots__ = ("lookups", "name", "node", "parent")

    def __init__(self, node: Node, parent: Ino, name: bytes) -> None:
        self.node, self.parent, self.name = node, parent, name
        self.lookups = 1


class InodeTable:
    """Numbers to nodes."""

    def __init__(self, root: Directory) -> None:
        # Every number that the kernel may still send, except the root's.
        # Invariant: lookups > 0 in each.
        self._held: dict[Ino, _Held] = {}
        self._root = root

    def node(self, ino: int) -> Node:
        """The node of a number; ESTALE if the kernel should not know it."""
        held = self._held.get(Ino(ino))
        if held is not None:
            return held.node
        if ino == ROOT_INO:
            return self._root
        raise OSError(errno.ESTALE, f"inode {ino} is not known")

    def directory(self, ino: int) -> Directory:
        """The directory of a number; ENOTDIR if it is something else."""
        node = self.node(ino)
        if not isinstance(node, Directory):
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), self.path(ino))
        return node

    def hold(self, node: Node, parent: int, name: bytes) -> None:
        """Count one more lookup of *node*, which is now *name* in *parent*.

        A number that is held keeps its node, because requests on it may be under way, unless the
        number now belongs to another kind of node; the one that is not kept is released.
        """
        held = self._held.get(node.ino)
        if held is None:
            if node.ino != ROOT_INO:
                self._held[node.ino] = _Held(node, Ino(parent), name)
            return
        held.lookups += 1
        held.parent, held.name = Ino(parent), name
        if held.node is not node:
            if type(held.node) is not type(node):
                held.node, node = node, held.node
            node.released()

    def forget(self, ino: int, times: int) -> None:
        """Take back *times* lookups; the last one releases the node."""
        held = self._held.get(Ino(ino))
        if held is None:
            return
        held.lookups -= times
        if held.lookups <= 0:
            del self._held[Ino(ino)]
            held.node.released()

    def forget_all(self) -> None:
        """The connection is gone, and with it all holds."""
        while self._held:
            self._held.popitem()[1].node.released()

    def moved(self, node_ino: int, parent: int, name: bytes) -> None:
        """A rename was done: from now on messages name the new place."""
        held = self._held.get(Ino(node_ino))
        if held is not None:
            held.parent, held.name = Ino(parent), name

    def path(self, ino: int, name: bytes = b"") -> str:
        """Where a number (or *name* in it) was last seen, from the root of the tree."""
        parts = [name] if name else []
        seen: set[int] = set()
        while ino != ROOT_INO and ino not in seen:
            seen.add(ino)
            held = self._held.get(Ino(ino))
            if held is None:
                parts.append("…".encode())
                break
            parts.append(held.name)
            ino = held.parent
        return "/" + os.fsdecode(b"/".join(reversed(parts)))

    def statistics(self) -> InodeStatistics:
        """What the kernel holds now."""
        return InodeStatistics(
            known=len(self._held), lookups=sum(held.lookups for held in self._held.values())
        )
