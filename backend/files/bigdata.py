"""Data items of an object: one file each in the object's own directory.

Used by: backend.api. Knows nothing of: which items the record lists.
A reader needs no lock: items are replaced by rename, so it sees one whole version.
"""

from __future__ import annotations

import os

from backend.codec.bigdataname import file_name
from drivers.linux import atomicfile, regularfile


def path_of(directory: str, key: str) -> str:
    """The item's file. Raises InvalidValueError for a key that cannot have one."""
    return os.path.join(directory, file_name(key))


def read(directory: str, key: str) -> bytes:
    """The item. Raises FileNotFoundError if it is not there."""
    return regularfile.read(path_of(directory, key))


def size(directory: str, key: str) -> int:
    """Bytes of the item. Raises FileNotFoundError if it is not there."""
    return os.stat(path_of(directory, key)).st_size


def write(directory: str, key: str, data: bytes) -> None:
    """Make or replace the item; it is durable on return. Needs the lock of its object's kind."""
    path = path_of(directory, key)
    os.makedirs(directory, 0o700, exist_ok=True)
    atomicfile.replace(path, data, locked=True)


def remove(directory: str, key: str) -> None:
    """Remove the item; it may be gone already."""
    try:
        os.unlink(path_of(directory, key))
    except FileNotFoundError:
        return
    atomicfile.sync_directory(directory)
