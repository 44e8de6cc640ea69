"""Where an exported archive is written: a tar or a directory, complete or not there at all.

Used by: backend.store (as Store.export_images). Knows nothing of: images, formats.
"""

from __future__ import annotations

import os
import tarfile
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import IO, Final

from backend.errors import InvalidValueError
from drivers.erase import erase_tree

_BLOCK: Final = 512
_END: Final = bytes(2 * _BLOCK)


class TarPlace:
    """A tar whose members are regular files that anybody may read, all with one fixed time.

    The same image gives the same bytes each time.
    """

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream

    def add(self, name: str, size: int, chunks: Iterable[bytes]) -> None:
        """Write one member. Raises ValueError if *chunks* have another length."""
        header = tarfile.TarInfo(name)
        header.size, header.mode = size, 0o644
        self._stream.write(header.tobuf(tarfile.GNU_FORMAT))
        for chunk in _exactly(name, size, chunks):
            self._stream.write(chunk)
        self._stream.write(bytes(-size % _BLOCK))

    def end(self) -> None:
        """Write the end marker."""
        self._stream.write(_END)
        self._stream.flush()


class DirectoryPlace:
    """A directory that nobody else writes to."""

    def __init__(self, path: str) -> None:
        self._path = path

    def add(self, name: str, size: int, chunks: Iterable[bytes]) -> None:
        """Write one file."""
        path = os.path.join(self._path, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "xb") as file:
            file.writelines(_exactly(name, size, chunks))


@contextmanager
def tar_file(path: str) -> Iterator[TarPlace]:
    """A tar at *path*, which replaces a file there when it is complete; "-" is standard output.

    Raises InvalidValueError if something else is there, such as a device.
    """
    if path == "-":
        with open(1, "wb", closefd=False) as out:
            place = TarPlace(out)
            yield place
            place.end()
        return
    if os.path.exists(path) and not os.path.isfile(path):
        remedy = "give a file, or - for standard output"
        raise InvalidValueError("target", path, "it is there, and no file", remedy=remedy)
    directory, name = os.path.split(os.path.abspath(path))
    with tempfile.NamedTemporaryFile(dir=directory, prefix=f".{name}.", delete=False) as file:
        try:
            place = TarPlace(file)
            yield place
            place.end()
            os.fchmod(file.fileno(), 0o644)
            os.fsync(file.fileno())
            os.rename(file.name, path)
        except BaseException:
            os.unlink(file.name)
            raise


@contextmanager
def directory(path: str) -> Iterator[DirectoryPlace]:
    """A new directory at *path*, or an empty one that is there; removed again after an error."""
    try:
        os.mkdir(path)
        made = True
    except FileExistsError:
        made = False
        if not os.path.isdir(path) or os.listdir(path):
            raise InvalidValueError(
                "target", path, "it is there already", remedy="give a new directory"
            ) from None
    try:
        yield DirectoryPlace(path)
    except BaseException:
        for name in os.listdir(path):
            erase_tree(os.path.join(path, name))
        if made:
            os.rmdir(path)
        raise


def _exactly(name: str, size: int, chunks: Iterable[bytes]) -> Iterator[bytes]:
    for chunk in chunks:
        size -= len(chunk)
        if size < 0:
            break
        yield chunk
    if size:
        raise ValueError(f"{name}: {abs(size)} bytes too {'few' if size > 0 else 'many'}")
