"""Images into archives: OCI layouts and docker archives, with the digests that were recorded.

Used by: backend.store (as Store.export_images). Knows nothing of: how a layer's tar is made.

Layers leave as plain tars: only those are reproducible to the bit. Each is checked against its
diff ID on the way out. An image's configuration is written as it is, so the image keeps its ID
wherever it is loaded; its manifest names the plain layers.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol, TypeVar

from backend.codec import imageformat
from backend.errors import DamagedError, InvalidValueError
from backend.model import digest as digests
from backend.model.reference import without_digest
from drivers.archive.compression import Compression

if TYPE_CHECKING:
    from backend.api.images import Images
    from backend.api.layers import Layers
    from backend.codec.imageformat import Descriptor, Manifest
    from backend.model.records import Image, Layer

T = TypeVar("T")

FORMATS: Final = ("oci-archive", "oci", "docker-archive")
"""A tar of an OCI layout, the layout as a directory, and what ``docker load`` reads."""

_OCI_LAYOUT: Final = b'{"imageLayoutVersion":"1.0.0"}'


class Place(Protocol):
    """Where the files of an archive go."""

    def add(self, name: str, size: int, chunks: Iterable[bytes]) -> None:
        """Write one file; *chunks* have *size* bytes in all."""
        ...


class _Packed(NamedTuple):
    """An image as an archive has it."""

    names: tuple[str, ...]
    manifest: bytes
    media_type: str
    config: Descriptor
    layers: tuple[Descriptor, ...]


def export_images(
    layers: Layers,
    images: Images,
    references: Sequence[str],
    place: Place,
    *,
    docker: bool = False,
    tell: Callable[[str], None] = lambda _: None,
) -> None:
    """Write images to *place*. Raises DamagedError if a layer is not what its record says."""
    _Export(layers, images, place, docker=docker, tell=tell).run(references)


class _Export:
    """An archive in the making; a blob that several images share is written once."""

    def __init__(
        self,
        layers: Layers,
        images: Images,
        place: Place,
        *,
        docker: bool,
        tell: Callable[[str], None],
    ) -> None:
        self._layers, self._images, self._place = layers, images, place
        self._docker, self._tell = docker, tell
        self._written: set[str] = set()

    def run(self, references: Sequence[str]) -> None:
        packed = [self._image(self._images.find(reference)) for reference in references]
        if self._docker:
            listed = [
                imageformat.DockerImage(
                    _docker_name(one.config.digest, ".json"),
                    tuple(_docker_name(layer.digest, ".tar") for layer in one.layers),
                    one.names,
                )
                for one in packed
            ]
            self._small("manifest.json", imageformat.docker_archive(listed))
            return
        entries = [entry for one in packed for entry in _index_entries(one)]
        for one in packed:
            self._blob(digests.of(one.manifest), one.manifest)
        self._small("index.json", imageformat.index(entries))
        self._small("oci-layout", _OCI_LAYOUT)

    def _image(self, image: Image) -> _Packed:
        what = f"image {image.id[:12]}"
        manifest = self._manifest(image, what)
        config = self._item(image, manifest.config.digest, what)
        diff_ids = _read(what, manifest.config.digest, imageformat.parse_config, config).diff_ids
        chain = self._chain(image, len(diff_ids))
        if [layer.diff_digest for layer in chain] != list(diff_ids):
            raise DamagedError(what, manifest.config.digest, "its layers are not those it lists")
        plain = tuple(
            imageformat.plain_layer(manifest, layer.diff_digest, layer.diff_size) for layer in chain
        )
        for layer in chain:
            self._layer(layer)
        self._blob(manifest.config.digest, config, ".json")
        raw = imageformat.uncompressed(manifest, plain)
        names = tuple(dict.fromkeys(map(without_digest, image.names)))
        return _Packed(names, raw, manifest.media_type, manifest.config, plain)

    def _manifest(self, image: Image, what: str) -> Manifest:
        raw = self._item(image, "manifest", what)
        return _read(what, "manifest", imageformat.parse_manifest, raw)

    def _item(self, image: Image, key: str, what: str) -> bytes:
        if key not in image.big_data_names:
            raise InvalidValueError(
                "image", image.id[:12], f"it has no {key}: no image tool made it"
            )
        data = self._images.big_data(image.id, key)
        if image.big_data_digests.get(key) not in (None, digests.of(data)):
            raise DamagedError(what, key, "its digest is not the recorded one")
        return data

    def _chain(self, image: Image, most: int) -> Sequence[Layer]:
        """The layers, lowest first; a few too many if there are more than *most*."""
        found: list[Layer] = []
        wanted: str | None = image.layer
        while wanted is not None and len(found) <= most:
            layer = self._layers.find(wanted)
            found.append(layer)
            wanted = layer.parent
        return found[::-1]

    def _layer(self, layer: Layer) -> None:
        name = self._name(layer.diff_digest, ".tar")
        if name in self._written:
            return
        self._written.add(name)
        self._tell(layer.id)
        with self._layers.diff(layer.id, compression=Compression.NONE) as chunks:
            self._place.add(name, layer.diff_size, _checked(chunks, layer))

    def _blob(self, digest: str, data: bytes, suffix: str = "") -> None:
        name = self._name(digest, suffix)
        if name not in self._written:
            self._written.add(name)
            self._small(name, data)

    def _small(self, name: str, data: bytes) -> None:
        self._place.add(name, len(data), (data,))

    def _name(self, digest: str, suffix: str) -> str:
        return _docker_name(digest, suffix) if self._docker else _oci_name(digest)


def _read(what: str, name: str, parse: Callable[[bytes], T], raw: bytes) -> T:
    try:
        return parse(raw)
    except ValueError as error:
        raise DamagedError(what, name, str(error)) from error


def _checked(chunks: Iterable[bytes], layer: Layer) -> Iterator[bytes]:
    """Pass on a layer; raise DamagedError behind its last byte if it was not the recorded one."""
    digest = hashlib.new(layer.diff_digest.partition(":")[0])
    for chunk in chunks:
        digest.update(chunk)
        yield chunk
    if digest.hexdigest() != layer.diff_digest.partition(":")[2]:
        raise DamagedError(
            f"layer {layer.id[:12]}",
            layer.diff_digest,
            "its files are no longer those that were stored",
            remedy="storagefs check says which",
        )


def _index_entries(one: _Packed) -> Iterator[Descriptor]:
    digest, size = digests.of(one.manifest), len(one.manifest)
    for name in one.names or ("",):
        yield imageformat.Descriptor(one.media_type, digest, size, name)


def _oci_name(digest: str) -> str:
    return os.path.join("blobs", *digest.split(":"))


def _docker_name(digest: str, suffix: str) -> str:
    return digest.partition(":")[2] + suffix
