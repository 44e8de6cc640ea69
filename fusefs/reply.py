"""Our values as the structures that pyfuse3 sends to the kernel.

Used by: fusefs.operations; ``entry`` runs for each line of a listing, so it stays flat.
Knows nothing of: the store, worker threads.
"""

import os

import pyfuse3

from fusefs.nodes.base import AttributeChange, Attributes, Node, OpenFile


def entry(node: Node, attributes: Attributes) -> pyfuse3.EntryAttributes:
    """Attributes of *node* with the times for which the kernel may keep them."""
    out = pyfuse3.EntryAttributes()
    out.st_ino = node.ino
    out.entry_timeout = node.entry_timeout
    out.attr_timeout = node.attr_timeout if attributes.settled else 0
    out.st_mode = attributes.mode
    out.st_nlink = attributes.nlink
    out.st_uid = attributes.uid
    out.st_gid = attributes.gid
    out.st_rdev = attributes.rdev
    out.st_size = attributes.size
    out.st_blksize = attributes.block_size
    out.st_blocks = attributes.blocks
    out.st_atime_ns = attributes.atime_ns
    out.st_mtime_ns = attributes.mtime_ns
    out.st_ctime_ns = attributes.ctime_ns
    return out


def file_info(number: int, file: OpenFile) -> pyfuse3.FileInfo:
    """What the kernel has to know of an open file."""
    return pyfuse3.FileInfo(fh=number, direct_io=file.direct_io, keep_cache=file.keep_cache)


def change(
    fields: pyfuse3.SetattrFields, wanted: pyfuse3.EntryAttributes, *, with_size: bool
) -> AttributeChange:
    """What a setattr request asks for."""
    return AttributeChange(
        mode=wanted.st_mode if fields.update_mode else None,
        uid=wanted.st_uid if fields.update_uid else None,
        gid=wanted.st_gid if fields.update_gid else None,
        size=wanted.st_size if with_size and fields.update_size else None,
        atime_ns=wanted.st_atime_ns if fields.update_atime else None,
        mtime_ns=wanted.st_mtime_ns if fields.update_mtime else None,
    )


def statvfs(of: os.statvfs_result) -> pyfuse3.StatvfsData:
    """The numbers for df; never invented (users read them)."""
    out = pyfuse3.StatvfsData()
    out.f_bsize = of.f_bsize
    out.f_frsize = of.f_frsize
    out.f_blocks = of.f_blocks
    out.f_bfree = of.f_bfree
    out.f_bavail = of.f_bavail
    out.f_files = of.f_files
    out.f_ffree = of.f_ffree
    out.f_favail = of.f_favail
    out.f_namemax = of.f_namemax
    return out
