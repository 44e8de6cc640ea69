"""The highest user or group ID that an image's /etc/passwd and /etc/group name.

Used by: backend.api.userns. Knows nothing of: user namespaces.
The files belong to strangers: they are looked up inside the image whatever links say, opened only
after they have turned out to be regular files, and read up to a limit.
"""

import errno
import os
import stat
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from backend.errors import InvalidValueError
from drivers.linux.beneath import open_beneath

_MOST_BYTES: Final = 4 << 20
_MOST_DIGITS: Final = 10
_NOBODY: Final = 65534
_NAMELESS: Final = (b"nobody", b"nogroup")
_NOT_THERE: Final = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG)


def highest_id(
    open_root: Callable[[], int], owner: str, *, passwd_file: str = "", group_file: str = ""
) -> int:
    """Return the highest ID in both files; -1 if they are not there or name nobody.

    *open_root* gives a descriptor of the image's root, *owner* is what messages call the image.
    *passwd_file* and *group_file* are files of the host to read instead. 65534 and the names
    nobody and nogroup do not count. Raises InvalidValueError for what is no file, or too large.
    """
    files = ((passwd_file, "etc/passwd", (2, 3)), (group_file, "etc/group", (2,)))
    root = None if passwd_file and group_file else open_root()
    try:
        found = [-1]
        for host_path, path, columns in files:
            if root is None or host_path:
                text = _text(os.open(host_path, os.O_PATH | os.O_CLOEXEC), host_path)
            else:
                text = _of_image(root, path, owner)
            found += _ids(text, columns)
        return max(found)
    finally:
        if root is not None:
            os.close(root)


def _of_image(root: int, path: str, owner: str) -> bytes:
    try:
        fd = open_beneath(root, os.fsencode(path), os.O_PATH, follow_last=True)
    except OSError as error:
        if error.errno in _NOT_THERE:
            return b""
        raise
    return _text(fd, f"/{path} of {owner}")


def _text(place: int, name: str) -> bytes:
    """Read what the O_PATH descriptor *place* is, and close it: no device is ever opened."""
    try:
        if not stat.S_ISREG(os.fstat(place).st_mode):
            raise _unusable(name, "it is no regular file")
        with open(f"/proc/self/fd/{place}", "rb") as file:
            text = file.read(_MOST_BYTES + 1)
    finally:
        os.close(place)
    if len(text) > _MOST_BYTES:
        raise _unusable(name, f"it is larger than {_MOST_BYTES >> 20} MiB")
    return text


def _unusable(name: str, reason: str) -> InvalidValueError:
    remedy = "ask for a size of the user namespace, so that it is not read"
    return InvalidValueError("list of users", name, reason, remedy=remedy)


def _ids(text: bytes, columns: Sequence[int]) -> Iterator[int]:
    for line in text.splitlines():
        words = line.strip().split(b":")
        if words[0].startswith(b"#") or words[0] in _NAMELESS:
            continue
        for column in columns:
            word = words[column] if column < len(words) else b""
            if word.isdigit() and len(word) <= _MOST_DIGITS and int(word) != _NOBODY:
                yield int(word)
