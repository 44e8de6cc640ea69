"""``storagefs applydiff-using-staging-dir``: a directory becomes the content of a layer.

Used by: backend.cli.command. Knows nothing of: how layers are filled.
The Go tool has it to try partial pulls, and only where storage.conf allows those.
"""

import io
import os
from collections.abc import Iterator

from backend.cli.request import Request
from backend.errors import ConfigError, LayerUnknownError
from drivers.archive.pack import pack_tree


def run(request: Request) -> int:
    """Unpack the directory over what the layer has, or make the layer of it."""
    name, path = request.line.arguments
    with request.open_store(read_only=False) as store:
        _check_allowed(store.options.pull_options.get("enable_partial_images", ""))
        root = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            archive = io.BufferedReader(_Pieces(pack_tree(root)), 1 << 20)
            try:
                layer = store.layers.find(name)
            except LayerUnknownError:
                store.layers.put(archive, id=name, writable=True)
            else:
                store.layers.apply_diff(layer.id, archive)
        finally:
            os.close(root)
    return 0


def _check_allowed(setting: str) -> None:
    if setting != "true":
        raise ConfigError(
            "storage.options.pull_options.enable_partial_images",
            "partial images are disabled",
            remedy='write enable_partial_images = "true" into storage.conf',
        )


class _Pieces(io.RawIOBase):
    """Pieces of bytes as a file to read."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        super().__init__()
        self._pieces, self._rest = pieces, memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: object) -> int:
        view = memoryview(buffer).cast("B")  # type: ignore[arg-type]  # object in typeshed
        while not self._rest:
            piece = next(self._pieces, None)
            if piece is None:
                return 0
            self._rest = memoryview(piece)
        size = min(len(view), len(self._rest))
        view[:size], self._rest = self._rest[:size], self._rest[size:]
        return size
