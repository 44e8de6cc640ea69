"""What a layer adds to another, as an archive, and how large it is.

Used by: backend.api.{layers,check}. Knows nothing of: how drivers compare (Driver.diff).
No lock is held while an archive is read out, since nobody knows how slow its reader is. A layer
that is deleted meanwhile makes the archive end with an error, and so does one that is applied to:
each file's checksum is compared. Source: containers/storage layers.go (Diff).
"""

from collections.abc import Generator, Iterator
from contextlib import ExitStack, closing, contextmanager
from typing import TYPE_CHECKING, Final

from backend.api import lookup
from backend.api.idmaps import maps_below, maps_of
from backend.api.workshop import Workshop
from backend.errors import DamagedError, InvalidValueError, LayerUnknownError
from backend.model.records import Layer
from backend.model.snapshot import LayerTable
from drivers.archive.compression import Compression, compressed
from drivers.archive.reassemble import reassemble
from drivers.errors import ArchiveError
from drivers.ids import LayerID

if TYPE_CHECKING:
    from drivers.archive.seekable import SeekableTar

_REMEDY: Final = "delete what stands on it, then pull or build its image again"


class DiffStream(Iterator[bytes]):
    """An archive, piece by piece. Close it, or use it in a with-block."""

    def __init__(self, chunks: Iterator[bytes], opened: ExitStack) -> None:
        self._chunks, self._opened = chunks, opened

    def __next__(self) -> bytes:
        """Return the next piece."""
        return next(self._chunks)

    def close(self) -> None:
        """Let go of the files; a second call does nothing."""
        self._opened.close()

    def __enter__(self) -> "DiffStream":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def open_diff(
    shop: Workshop, reference: str, base: str | None, compression: Compression | None
) -> DiffStream:
    """See Layers.diff."""
    layers = shop.fresh().layers
    layer = lookup.layer(layers, reference)
    below = lookup.base_of(layers, layer, base)
    kind = _recorded(layer) if compression is None else compression
    with ExitStack() as opened:
        plain = _plain(shop, layers, layer, below, opened)
        chunks = compressed(plain, kind)
        return DiffStream(chunks, opened.pop_all())


class Archive:
    """The plain archive that a layer was made of, to be read at any offset; close it."""

    def __init__(self, layer: Layer, path: str, tar: "SeekableTar", opened: ExitStack) -> None:
        self._layer, self._path, self._tar, self._opened = layer, path, tar, opened

    @property
    def size(self) -> int:
        """How many bytes there are."""
        return self._tar.size

    def read(self, offset: int, size: int) -> bytes:
        """Up to *size* bytes at *offset*; DamagedError if the layer is not what it was."""
        with _blamed(self._layer, self._path):
            return self._tar.read(offset, size)

    def close(self) -> None:
        """Let go of the files; a second call does nothing."""
        self._opened.close()


def open_archive(shop: Workshop, reference: str) -> Archive | None:
    """See Layers.archive."""
    from drivers.archive.seekable import SeekableTar

    layer = lookup.layer(shop.fresh().layers, reference)
    tar_split = shop.open_tar_split(layer)
    if tar_split is None:
        return None
    path = shop.tar_split(layer)
    with ExitStack() as opened, tar_split, _blamed(layer, path):
        content = opened.enter_context(closing(shop.open_driver().open_content(layer.id)))
        tar = opened.enter_context(closing(SeekableTar(tar_split, content.open)))
        return Archive(layer, path, tar, opened.pop_all())


def _plain(
    shop: Workshop,
    layers: LayerTable,
    layer: Layer,
    below: LayerID | None,
    opened: ExitStack,
) -> Iterator[bytes]:
    """The uncompressed archive: as it came if that is known, else as the driver makes it."""
    driver = shop.open_driver()
    if layer.incomplete:
        path = driver.diff_directory(layer.id)
        raise DamagedError(f"layer {layer.id[:12]}", path, "it is half made or half deleted")
    tar_split = shop.open_tar_split(layer) if below == layer.parent else None
    if tar_split is None:
        chunks = driver.diff(
            layer.id, below, maps=maps_of(layer), parent_maps=maps_below(layers, below)
        )
        return opened.enter_context(closing(_whole(shop, chunks, layer)))
    opened.enter_context(tar_split)
    content = opened.enter_context(closing(driver.open_content(layer.id)))
    pieces = reassemble(tar_split, content.open)
    return opened.enter_context(closing(_blaming(pieces, layer, shop.tar_split(layer))))


def _whole(
    shop: Workshop, chunks: Generator[bytes, None, None], layer: Layer
) -> Generator[bytes, None, None]:
    """Make sure at the end that what was read had not been deleted under way.

    A deletion changes the record before it touches any file.
    """
    with closing(chunks):
        yield from chunks
    now = shop.fresh().layers.get(layer.id)
    if now is None or now.incomplete or now.created != layer.created:
        raise LayerUnknownError(layer.id)


def _recorded(layer: Layer) -> Compression:
    try:
        return Compression(layer.compression)
    except ValueError:
        raise InvalidValueError(
            "compression",
            str(layer.compression),
            f"the record of layer {layer.id[:12]} has a number that says nothing",
            remedy="ask for the uncompressed archive",
        ) from None


def _blaming(chunks: Iterator[bytes], layer: Layer, path: str) -> Generator[bytes, None, None]:
    """Say of which layer it was that something did not fit together."""
    with _blamed(layer, path):
        yield from chunks


@contextmanager
def _blamed(layer: Layer, path: str) -> Iterator[None]:
    try:
        yield
    except (ArchiveError, FileNotFoundError) as error:
        raise DamagedError(f"layer {layer.id[:12]}", path, str(error), remedy=_REMEDY) from error
