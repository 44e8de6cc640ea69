"""Files, links and special files of a view, and what is open of them.

Used by: fusefs.nodes.passthrough. Knows nothing of: directories, where a view comes from.
"""

import os
from typing import Final

from drivers.errors import is_shortage
from fusefs.nodes.base import Attributes, Caller, File, Link, OpenFile
from fusefs.nodes.identity import RAW_TARGET, rebased
from fusefs.nodes.passthrough_node import BackedNode, stale
from fusefs.nodes.passthrough_view import Descriptor
from fusefs.nodes.readahead import Reader

_PASSED_ON: Final = os.O_ACCMODE | os.O_APPEND | os.O_TRUNC | os.O_SYNC | os.O_DSYNC | os.O_NOATIME
"""Flags that reach the backing file. O_DIRECT does not: our buffers are not aligned, and the
caller's own cache is bypassed by the kernel anyway."""


def backing_flags(flags: int) -> int:
    """Flags for the backing open(2) of a caller's open(2) with *flags*."""
    return flags & _PASSED_ON


def _only_reads(flags: int) -> bool:
    return flags & os.O_ACCMODE == os.O_RDONLY and not flags & os.O_TRUNC


class BackedLink(BackedNode, Link):
    """A symlink; it is never followed by us. Its target is as stored, or stays in the view."""

    _stored: bytes | None = None

    def target_at_hand(self) -> bool:
        """Whether it was read before and cannot change."""
        return self._stored is not None

    def target(self) -> bytes:
        """The target, rebased where the view wants that."""
        stored = self._stored_target()
        return rebased(stored, self._depth()) if self.view.rebase else stored

    def doubt(self) -> None:
        """The target as well."""
        super().doubt()
        self._stored = None

    def read_ahead(self, name: bytes, above: int) -> None:
        """Read the target of a link that cannot change, met as *name* in the directory *above*."""
        if self._stored is None:
            self._stored = os.readlink(name, dir_fd=above)

    def shown(self, status: os.stat_result) -> Attributes:
        """The size is that of the target as it is shown."""
        shown = super().shown(status)
        return shown._replace(size=len(self.target())) if self.view.rebase else shown

    def xattr(self, name: bytes) -> bytes:
        """One of its own, or the target as stored where another one is shown."""
        if self.view.rebase and name == RAW_TARGET:
            return self._stored_target()
        return super().xattr(name)

    def _stored_target(self) -> bytes:
        if self._stored is not None:
            return self._stored
        with self.reach() as fd:
            stored = os.readlink(b"", dir_fd=fd)
        if self.view.immutable:
            self._stored = stored
        return stored

    def _depth(self) -> int:
        """How many directories are between it and the root of the view, which has no place."""
        if not self.places:
            raise stale()
        depth, parent = 0, self.places[0][0]
        while parent.places:
            depth, parent = depth + 1, parent.places[0][0]
        return depth


class BackedFile(BackedNode, File):
    """A regular file, or a special one, which the kernel opens without us."""

    def opens_at_once(self, flags: int) -> bool:
        """Whether the backing file is opened only when something is read."""
        return self.view.immutable and _only_reads(flags)

    def open(self, flags: int, caller: Caller) -> "BackedOpenFile":
        """Open the backing file. It stays open when its names go.

        One that nobody can change is opened when something is read: the kernel may have it all.
        """
        del caller
        wanted = backing_flags(flags)
        if self.opens_at_once(flags):
            return self.hold(None)
        if _only_reads(flags):
            return self.hold(self.open_again(wanted))
        self.view.check_writable()
        return self.hold(self._open_for_change(wanted))

    def open_again(self, wanted: int = os.O_RDONLY) -> Descriptor:
        """Open the backing file for reading."""
        return self._again(wanted) or self.open_at(wanted)

    def _again(self, wanted: int) -> Descriptor | None:
        """Open what is open already: a file without a name has no other way."""
        held = self.any_opened()
        if held is None:
            return None
        return Descriptor(os.open(held.path, wanted | os.O_CLOEXEC))

    def _open_for_change(self, wanted: int) -> Descriptor:
        """Open for writing; overlay may give the file another identity when it copies it up."""
        reached = self.reach()
        held = Descriptor(os.open(reached.path, wanted | os.O_CLOEXEC))
        self.view.identify(self, os.fstat(held.fd))
        return held

    def hold(self, descriptor: Descriptor | None) -> "BackedOpenFile":
        """Make an open file of *descriptor*, and remember that the file is open."""
        self.view.file_opened(self, descriptor)
        return BackedOpenFile(self, descriptor)


class BackedOpenFile(OpenFile):
    """An open backing file. What cannot change stays in the kernel's cache across opens."""

    in_memory = False

    def __init__(self, node: BackedFile, descriptor: Descriptor | None) -> None:
        self.keep_cache = node.view.immutable
        self._node = node
        self._noted = self._descriptor = descriptor

    def _open(self) -> Descriptor:
        """What is open. The caller holds it, so that nobody closes it meanwhile."""
        held = self._descriptor
        if held is None:
            held = self._descriptor = self._node.open_again()
        return held

    def read(self, offset: int, size: int) -> bytes:
        """pread(2); the files after it may be read ahead."""
        with self._open() as fd:
            data = os.pread(fd, size, offset)
        reader = None if offset else self._reader()
        if reader is not None:
            reader.fetch_after(self._node)
        return data

    def fetched(self, offset: int, size: int) -> bytes | None:
        """What was fetched of a small file while the ones before it were read."""
        reader = self._reader()
        return reader.take(self._node, offset, size) if reader else None

    def _reader(self) -> Reader | None:
        node = self._node
        return node.view.readers.of(node.places[0][0]) if self.keep_cache and node.places else None

    def write(self, offset: int, data: bytes) -> int:
        """pwrite(2), repeated until all is taken or something has gone wrong."""
        held = self._open()
        done = os.pwrite(held.fd, data, offset)
        while done < len(data):
            more = os.pwrite(held.fd, memoryview(data)[done:], offset + done)
            if not more:
                break
            done += more
        return done

    def truncate(self, size: int) -> None:
        """ftruncate(2)."""
        with self._open() as fd:
            os.ftruncate(fd, size)

    def flush(self) -> None:
        """Report what the backing file system kept for close(2), such as a quota."""
        with self._open() as fd:
            try:
                copy = os.dup(fd)
            except OSError as failure:
                if is_shortage(failure):
                    return  # nothing is wrong with the file: it closes without
                raise
            os.close(copy)

    def fsync(self, *, data_only: bool) -> None:
        """To stable storage."""
        with self._open() as fd:
            (os.fdatasync if data_only else os.fsync)(fd)

    def release(self) -> None:
        """Close it."""
        self._node.view.file_closed(self._node, self._noted)
        self._noted = self._descriptor = None
