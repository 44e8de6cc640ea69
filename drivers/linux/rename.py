"""renameat2(2): rename with flags, relative to directory descriptors.

Used by: fusefs's passthrough nodes. Knows nothing of: layers.
"""

import os

from drivers.linux import syscalls


def renameat2(dir_fd: int, name: bytes, to_dir_fd: int, to_name: bytes, flags: int) -> None:
    """Rename one entry; *flags* are the kernel's RENAME_NOREPLACE (1) and RENAME_EXCHANGE (2)."""
    if not flags:
        os.rename(name, to_name, src_dir_fd=dir_fd, dst_dir_fd=to_dir_fd)
    else:
        syscalls.function("renameat2", dir_fd, name, to_dir_fd, to_name, flags, path=name)
