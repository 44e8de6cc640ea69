"""One short method for each request of the kernel.

Used by: fusefs.session, through pyfuse3. Knows nothing of: the store, what stands in the tree.
A handler resolves numbers to nodes, lets the node answer, and replies. Nodes that answer from
memory do so in the loop; others take exactly one hop to a worker thread that does all of it.
"""

import errno
import os
import select
from collections.abc import Sequence
from typing import Final

import pyfuse3

from fusefs import reply
from fusefs.answering import Answering, caller_of
from fusefs.handles import FileHandle
from fusefs.listing import found_again
from fusefs.nodes.base import Attributes, File, Link, Node, OpenFile, RenameMode
from fusefs.request import request

_READABLE: Final = select.POLLIN | select.POLLRDNORM


class Operations(Answering):
    """The handlers of one mount."""

    # Requests on names and attributes

    def init(self) -> None:
        """The kernel has accepted the connection."""
        self.on_init()

    @request()
    async def lookup(
        self, parent_inode: int, name: bytes, ctx: pyfuse3.RequestContext
    ) -> pyfuse3.EntryAttributes:
        """A name in a directory; the answer holds the node."""
        directory = await self._directory(parent_inode, ctx)
        node, attributes = await self._child(directory, name)
        return self._entry(node, attributes, parent_inode, name)

    async def forget(self, inode_list: Sequence[tuple[int, int]]) -> None:
        """Take lookups back; may neither raise nor wait."""
        for ino, times in inode_list:
            self.inodes.forget(ino, times)

    @request()
    async def getattr(self, inode: int, ctx: pyfuse3.RequestContext) -> pyfuse3.EntryAttributes:
        """stat(2)."""
        node = await self._node(inode, ctx)
        return reply.entry(node, await self._attributes(node))

    @request(changes=True)
    async def setattr(
        self,
        inode: int,
        attr: pyfuse3.EntryAttributes,
        fields: pyfuse3.SetattrFields,
        fh: int | None,
        ctx: pyfuse3.RequestContext,
    ) -> pyfuse3.EntryAttributes:
        """chmod(2), chown(2), truncate(2), utimensat(2), or several at once."""
        node = await self._node(inode, ctx, locked=True)
        open_file = self.files.get(fh).file if fh is not None and fields.update_size else None
        size, caller = attr.st_size, caller_of(ctx)
        change = reply.change(fields, attr, with_size=open_file is None)
        rest = any(getattr(change, name) is not None for name in change.__slots__)

        def hop() -> Attributes:
            if open_file is not None:
                open_file.truncate(size)
            return node.set_attributes(change, caller) if rest else node.attributes()

        return reply.entry(node, await self._run(node, hop))

    @request()
    async def readlink(self, inode: int, ctx: pyfuse3.RequestContext) -> bytes:
        """readlink(2)."""
        del ctx
        node = self.inodes.node(inode)
        if not isinstance(node, Link):
            raise OSError(errno.EINVAL, "not a symlink")
        return node.target() if node.target_at_hand() else await self._run(node, node.target)

    # Requests that change a directory

    @request(changes=True)
    async def mkdir(
        self, parent_inode: int, name: bytes, mode: int, ctx: pyfuse3.RequestContext
    ) -> pyfuse3.EntryAttributes:
        """mkdir(2)."""
        directory, caller = await self._directory(parent_inode, ctx), caller_of(ctx)
        return await self._made(
            directory, name, lambda: directory.make_directory(name, mode, caller)
        )

    @request(changes=True)
    async def symlink(
        self, parent_inode: int, name: bytes, target: bytes, ctx: pyfuse3.RequestContext
    ) -> pyfuse3.EntryAttributes:
        """symlink(2)."""
        directory, caller = await self._directory(parent_inode, ctx), caller_of(ctx)
        return await self._made(directory, name, lambda: directory.make_link(name, target, caller))

    @request(changes=True)
    async def mknod(
        self, parent_inode: int, name: bytes, mode: int, rdev: int, ctx: pyfuse3.RequestContext
    ) -> pyfuse3.EntryAttributes:
        """mknod(2)."""
        directory, caller = await self._directory(parent_inode, ctx), caller_of(ctx)
        return await self._made(
            directory, name, lambda: directory.make_special(name, mode, rdev, caller)
        )

    @request(changes=True)
    async def link(
        self, inode: int, new_parent_inode: int, new_name: bytes, ctx: pyfuse3.RequestContext
    ) -> pyfuse3.EntryAttributes:
        """link(2)."""
        node = self.inodes.node(inode)
        directory, caller = await self._directory(new_parent_inode, ctx), caller_of(ctx)
        return await self._made(
            directory, new_name, lambda: directory.make_hard_link(new_name, node, caller)
        )

    @request(changes=True)
    async def unlink(self, parent_inode: int, name: bytes, ctx: pyfuse3.RequestContext) -> None:
        """unlink(2)."""
        directory, caller = await self._directory(parent_inode, ctx), caller_of(ctx)
        await self._run(directory, lambda: directory.unlink(name, caller))
        self._changed()

    @request(changes=True)
    async def rmdir(self, parent_inode: int, name: bytes, ctx: pyfuse3.RequestContext) -> None:
        """rmdir(2)."""
        directory, caller = await self._directory(parent_inode, ctx), caller_of(ctx)
        await self._run(directory, lambda: directory.remove_directory(name, caller))
        self._changed()

    @request(changes=True)
    async def rename(  # noqa: PLR0917 - the shape of the request
        self,
        parent_inode_old: int,
        name_old: bytes,
        parent_inode_new: int,
        name_new: bytes,
        flags: int,
        ctx: pyfuse3.RequestContext,
    ) -> None:
        """rename(2)."""
        old = await self._directory(parent_inode_old, ctx)
        new, caller = await self._directory(parent_inode_new, ctx), caller_of(ctx)
        mode = RenameMode(flags)

        def hop() -> list[tuple[int, int, bytes]]:
            old.rename(name_old, new, name_new, mode, caller)
            return found_again((new, name_new), (old, name_old))

        for moved in await self._run(old, hop):
            self.inodes.moved(*moved)
        self._changed()

    @request(changes=True)
    async def create(
        self, parent_inode: int, name: bytes, mode: int, flags: int, ctx: pyfuse3.RequestContext
    ) -> tuple[pyfuse3.FileInfo, pyfuse3.EntryAttributes]:
        """open(2) with O_CREAT, of a name that is not there."""
        directory, caller = await self._directory(parent_inode, ctx), caller_of(ctx)

        def hop() -> tuple[Node, OpenFile, Attributes]:
            node, file = directory.create(name, mode, flags, caller)
            return node, file, node.attributes()

        node, file, attributes = await self._run(directory, hop)
        self._changed()
        number = self.files.add(FileHandle(node, file, caller, _writes(flags)))
        return reply.file_info(number, file), self._entry(node, attributes, parent_inode, name)

    # Requests on open files

    @request()
    async def open(self, inode: int, flags: int, ctx: pyfuse3.RequestContext) -> pyfuse3.FileInfo:
        """open(2)."""
        node, caller = self.inodes.node(inode), caller_of(ctx)
        if not isinstance(node, File):
            raise OSError(errno.EINVAL, "not a file that can be opened")
        writes = _writes(flags)
        if writes:
            self.boundary.admit_change()
        if node.opens_at_once(flags):
            file = node.open(flags, caller)
        else:
            file = await self._run(node, lambda: node.open(flags, caller))
        return reply.file_info(self.files.add(FileHandle(node, file, caller, writes)), file)

    @request(by_handle=True)
    async def read(self, fh: int, off: int, size: int) -> bytes:
        """read(2); fewer bytes than asked for only at the end."""
        file = self.files.get(fh).file
        if file.in_memory:
            return file.read(off, size)
        fetched = file.fetched(off, size)
        if fetched is not None:
            return fetched
        lane = self._offload.records if file.reads_records else self._offload.data
        return await lane(file.read, off, size)

    @request(by_handle=True, changes=True)
    async def write(self, fh: int, off: int, buf: bytes) -> int:
        """write(2)."""
        file = self.files.get(fh).file
        if file.in_memory:
            return file.write(off, buf)
        return await self._offload.data(file.write, off, buf)

    @request(by_handle=True)
    async def flush(self, fh: int) -> None:
        """close(2). What was opened for reading has nothing to say about it.

        Where nothing can be written the kernel is told that there is no such request: it asks no
        second time.
        """
        handle = self.files.get(fh)
        if self.boundary.read_only:
            raise pyfuse3.FUSEError(errno.ENOSYS)
        if handle.writable:
            await self._run(handle.node, handle.file.flush)
            self._changed()

    @request(by_handle=True)
    async def fsync(self, fh: int, datasync: bool) -> None:  # noqa: FBT001 - pyfuse3's signature
        """fsync(2); nothing to do for what was opened for reading."""
        handle = self.files.get(fh)
        if handle.writable:
            file = handle.file
            await self._run(handle.node, lambda: file.fsync(data_only=datasync))

    @request(by_handle=True)
    async def release(self, fh: int) -> None:
        """The last descriptor of one open is gone."""
        handle = self.files.remove(fh)
        if handle.writable and not handle.file.in_memory:
            self._offload.later(handle.file.release)
        else:
            handle.file.release()

    @request()
    async def poll(
        self,
        inode: int,
        fh: int,
        poll_handle: pyfuse3.PollHandle | None,
        ctx: pyfuse3.RequestContext,
    ) -> int:
        """Say whether a read has something new; otherwise keep the handle for due_polls."""
        del inode, ctx
        handle = self.files.get(fh)
        if handle.file.ready():
            return _READABLE | (select.POLLOUT | select.POLLWRNORM if handle.writable else 0)
        handle.waiting = poll_handle
        return 0

    def due_polls(self) -> list[pyfuse3.PollHandle]:
        """Polls to be answered now; the caller notifies them outside the loop."""
        due: list[pyfuse3.PollHandle] = []
        for handle in self.files.all():
            if isinstance(handle.waiting, pyfuse3.PollHandle) and handle.file.ready():
                due.append(handle.waiting)
                handle.waiting = None
        return due

    # Requests on open directories

    @request()
    async def opendir(self, inode: int, ctx: pyfuse3.RequestContext) -> int:
        """opendir(3): the listing is taken now."""
        directory, caller = await self._directory(inode, ctx, locked=False), caller_of(ctx)
        return self.directories.add(await self._open_listing(directory, caller))

    @request(by_handle=True)
    async def readdir(self, fh: int, start_id: int, token: pyfuse3.ReaddirToken) -> None:
        """As many entries as fit; each that was taken counts as a lookup."""
        handle = self.directories.get(fh)
        if start_id != handle.position or not handle.listing.steady:
            handle.seek(start_id)
        while True:
            while handle.ahead:
                entry = handle.ahead[-1]
                position = entry.position + 1
                answer = reply.entry(entry.node, entry.attributes)
                if not pyfuse3.readdir_reply(token, entry.name, answer, position):
                    return
                self.inodes.hold(entry.node, handle.node.ino, entry.name)
                handle.ahead.pop()
                handle.position = position
            if handle.looked_up >= len(handle.listing.names):
                return
            await self._look_ahead(handle)

    @request(by_handle=True)
    async def releasedir(self, fh: int) -> None:
        """closedir(3)."""
        self.directories.remove(fh).listing.release()

    @request(by_handle=True)
    async def fsyncdir(self, fh: int, datasync: bool) -> None:  # noqa: FBT001 - pyfuse3's signature
        """Nothing to do: verbs have written what they promise."""
        del fh, datasync

    # Extended attributes and the rest

    @request()
    async def getxattr(self, inode: int, name: bytes, ctx: pyfuse3.RequestContext) -> bytes:
        """getxattr(2)."""
        node = await self._node(inode, ctx)
        return (
            node.xattr(name) if node.in_memory else await self._run(node, lambda: node.xattr(name))
        )

    @request()
    async def listxattr(self, inode: int, ctx: pyfuse3.RequestContext) -> Sequence[bytes]:
        """listxattr(2)."""
        node = await self._node(inode, ctx)
        return node.xattr_names() if node.in_memory else await self._run(node, node.xattr_names)

    @request(changes=True)
    async def setxattr(
        self, inode: int, name: bytes, value: bytes, ctx: pyfuse3.RequestContext
    ) -> None:
        """pyfuse3 has already asked whether it exists, if the caller cares."""
        node = await self._node(inode, ctx, locked=True)
        await self._run(node, lambda: node.set_xattr(name, value, 0))

    @request(changes=True)
    async def removexattr(self, inode: int, name: bytes, ctx: pyfuse3.RequestContext) -> None:
        """removexattr(2)."""
        node = await self._node(inode, ctx, locked=True)
        await self._run(node, lambda: node.remove_xattr(name))

    @request()
    async def statfs(self, ctx: pyfuse3.RequestContext) -> pyfuse3.StatvfsData:
        """statfs(2): that of the file system below the graph root."""
        del ctx
        return reply.statvfs(await self._offload.data(os.statvfs, self._graph_root))


def _writes(flags: int) -> bool:
    return flags & os.O_ACCMODE != os.O_RDONLY or bool(flags & os.O_TRUNC)
