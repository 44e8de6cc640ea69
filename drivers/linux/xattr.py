"""Extended attributes by descriptor, and by directory descriptor and name.

Used by: drivers, fusefs's passthrough nodes. Knows nothing of: what the attributes mean.
The descriptor may be an O_PATH one, of a link too; the last component is never followed.
Attribute names are bytes.
"""

import errno
import os

from drivers.linux import syscalls


def get(fd: int, name: bytes) -> bytes:
    """Return the attribute's value; ENODATA if there is none."""
    return os.getxattr(_magic(fd), name)


def names(fd: int) -> list[bytes]:
    """Return the names of all attributes that the caller may see."""
    return [os.fsencode(name) for name in os.listxattr(_magic(fd))]


def put(fd: int, name: bytes, value: bytes, flags: int = 0) -> None:
    """Set the attribute; *flags* XATTR_CREATE or XATTR_REPLACE."""
    os.setxattr(_magic(fd), name, value, flags)


def remove(fd: int, name: bytes) -> None:
    """Remove the attribute; ENODATA if there is none."""
    os.removexattr(_magic(fd), name)


def get_at(dir_fd: int, entry: bytes, name: bytes) -> bytes:
    """Like :func:`get`, for one name in a directory."""
    return os.getxattr(_entry(dir_fd, entry), name, follow_symlinks=False)


def names_at(dir_fd: int, entry: bytes) -> list[bytes]:
    """Like :func:`names`, for one name in a directory."""
    found = os.listxattr(_entry(dir_fd, entry), follow_symlinks=False)
    return [os.fsencode(name) for name in found]


def put_at(dir_fd: int, entry: bytes, name: bytes, value: bytes, flags: int = 0) -> None:
    """Like :func:`put`, for one name in a directory."""
    os.setxattr(_entry(dir_fd, entry), name, value, flags, follow_symlinks=False)


def _magic(fd: int) -> str:
    # The kernel jumps from this link to the open file itself and follows nothing further.
    return f"/proc/self/fd/{fd}"


def _entry(dir_fd: int, entry: bytes) -> bytes:
    if b"/" in entry or entry in (b"", b".", b".."):
        raise syscalls.error(errno.EINVAL, entry, "not one name in a directory")
    return b"/proc/self/fd/%d/%b" % (dir_fd, entry)
