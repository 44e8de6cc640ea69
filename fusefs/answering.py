"""What all request handlers share: tables, worker threads, and ways to an answer.

Used by: fusefs.operations. Knows nothing of: single requests, the store.
"""

from collections.abc import Callable
from typing import Final, Protocol, TypeVar

import pyfuse3

from fusefs import reply
from fusefs.handles import DirectoryHandle, FileHandle, HandleTable
from fusefs.inodes import InodeTable
from fusefs.listing import entries_of
from fusefs.nodes.base import Attributes, Caller, Directory, Listed, Node
from fusefs.offload import Offload
from fusefs.request import Boundary, Where

T = TypeVar("T")

BATCH: Final = 64
"""Entries looked up in one hop. A 32 KiB answer holds about 180 of usual names."""

STEADY: Final = 4 * BATCH
"""Entries looked up in one hop where what does not fit into one answer serves for the next."""

_SYNTHETIC: Final = 1 << 63


class Gate(Protocol):
    """Awaited before a request on a node is answered; may raise FUSEError(ESTALE).

    ``locked``: the kernel holds the lock of the node while it waits for this answer.
    """

    async def __call__(self, node: Node, caller: Caller, *, locked: bool) -> None:
        """Return, or raise, once the request can be answered."""


class Answering(pyfuse3.Operations):
    """The tables of one mount, and how its handlers use them."""

    supports_dot_lookup = False
    enable_writeback_cache = False
    enable_acl = False

    def __init__(
        self,
        root: Directory,
        offload: Offload,
        boundary: Boundary,
        *,
        graph_root: str,
        gate: Gate | None = None,
        changed: Callable[[], None] = lambda: None,
    ) -> None:
        self.boundary = boundary
        self.inodes = InodeTable(root)
        self.files: HandleTable[FileHandle] = HandleTable()
        self.directories: HandleTable[DirectoryHandle] = HandleTable()
        self.on_init: Callable[[], None] = lambda: None
        self._offload = offload
        self._graph_root = graph_root
        self._gate = gate
        self._changed = changed

    # Support of the boundary

    def where(self, arguments: tuple[object, ...], *, by_handle: bool) -> Where:
        """Whom and what a request with these arguments is about."""
        if by_handle:
            handle = self._any_handle(int(arguments[0]))  # type: ignore[call-overload]  # pyfuse3 gives the number first
            if handle is None:
                return Where(0, None, lambda: "?")
            ino = handle.node.ino
            return Where(ino, handle.caller, lambda: self.inodes.path(ino))
        number = arguments[0] if isinstance(arguments[0], int) else 0
        name = arguments[1] if len(arguments) > 1 and isinstance(arguments[1], bytes) else b""
        context = arguments[-1]
        caller = caller_of(context) if isinstance(context, pyfuse3.RequestContext) else None
        return Where(number, caller, lambda: self.inodes.path(number, name))

    def _any_handle(self, number: int) -> FileHandle | DirectoryHandle | None:
        for table in (self.files, self.directories):
            try:
                return table.get(number)
            except OSError:
                continue
        return None

    # Ways to an answer

    async def _run(self, node: Node, function: Callable[[], T]) -> T:
        """One hop, in the lane of the node: backing files must not wait for store locks."""
        backing = not (node.ino & _SYNTHETIC or node.ino == pyfuse3.ROOT_INODE)
        lane = self._offload.data if backing or node.lock_free else self._offload.records
        return await lane(function)

    async def _node(self, ino: int, ctx: pyfuse3.RequestContext, *, locked: bool = False) -> Node:
        node = self.inodes.node(ino)
        if self._gate is not None:
            await self._gate(node, caller_of(ctx), locked=locked)
        return node

    async def _child(self, directory: Directory, name: bytes) -> tuple[Node, Attributes]:
        if directory.in_memory:
            node = directory.child(name)
            return node, await self._attributes(node)
        return await self._run(directory, lambda: _look_up(directory, name))

    async def _look_ahead(self, handle: DirectoryHandle) -> None:
        """Look up the next entries of a listing."""
        directory, listing, first = handle.node, handle.listing, handle.looked_up
        count = STEADY if listing.steady else BATCH
        if directory.in_memory or isinstance(listing, Listed):
            entries = entries_of(directory, listing, first, count)
        else:
            entries = await self._run(
                directory, lambda: entries_of(directory, listing, first, count)
            )
        handle.set_ahead(entries, first + count)

    async def _open_listing(self, directory: Directory, caller: Caller) -> DirectoryHandle:
        """Open a directory; where that takes a hop, it brings the first entries along."""
        if directory.in_memory:
            return DirectoryHandle(directory, directory.open(caller), caller)
        entries = directory.listed()
        if entries is not None:
            handle = DirectoryHandle(directory, Listed(entries), caller)
            handle.set_ahead(entries, len(entries))
            return handle

        def hop() -> DirectoryHandle:
            handle = DirectoryHandle(directory, directory.open(caller), caller)
            if handle.listing.steady:
                handle.set_ahead(entries_of(directory, handle.listing, 0, STEADY), STEADY)
            return handle

        return await self._run(directory, hop)

    async def _attributes(self, node: Node) -> Attributes:
        if node.attributes_at_hand():
            return node.attributes()
        return await self._run(node, node.attributes)

    async def _directory(
        self, ino: int, ctx: pyfuse3.RequestContext, *, locked: bool = True
    ) -> Directory:
        directory = self.inodes.directory(ino)
        if self._gate is not None:
            await self._gate(directory, caller_of(ctx), locked=locked)
        return directory

    async def _made(
        self, directory: Directory, name: bytes, make: Callable[[], Node]
    ) -> pyfuse3.EntryAttributes:
        """Run a verb that makes *name* in *directory*, and reply with what it made."""

        def hop() -> tuple[Node, Attributes]:
            node = make()
            return node, node.attributes()

        node, attributes = await self._run(directory, hop)
        self._changed()
        return self._entry(node, attributes, directory.ino, name)

    def _entry(
        self, node: Node, attributes: Attributes, parent: int, name: bytes
    ) -> pyfuse3.EntryAttributes:
        answer = reply.entry(node, attributes)
        self.inodes.hold(node, parent, name)
        return answer


def caller_of(ctx: pyfuse3.RequestContext) -> Caller:
    """Who asks."""
    return Caller(ctx.uid, ctx.gid, ctx.pid, ctx.umask)


def _look_up(directory: Directory, name: bytes) -> tuple[Node, Attributes]:
    node = directory.child(name)
    return node, node.attributes()
