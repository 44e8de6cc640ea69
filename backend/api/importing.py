"""Images out of archives: what ``podman save``, ``docker save`` and ``skopeo copy`` write.

Used by: backend.store (as Store.import_images). Knows nothing of: how files of an archive are
found (backend.api.archivefiles), how layers are unpacked.

IDs are those that the Go tools would give: an image has the digest of its configuration, a layer
that of the chain of its diff IDs, so that what one tool stored is there for the other. Layers go
in first, the image last; what a failure leaves of new layers is deleted again, what a crash leaves
is complete layers without an image, which the next import of the same archive finds and uses.
"""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar

from backend.api import archivefiles
from backend.codec import gotime, imageformat
from backend.errors import DuplicateIDError, InvalidValueError, LayerUnknownError
from backend.model import digest as digests
from backend.model.reference import DOCKER, LOCAL, full_name
from drivers.errors import ArchiveError, StorageError

if TYPE_CHECKING:
    from backend.api.archivefiles import ArchiveFiles
    from backend.api.images import Images
    from backend.api.layers import Layers
    from backend.codec.imageformat import Config, Descriptor, Manifest
    from backend.model.records import Image, Layer

T = TypeVar("T")

_ARCHITECTURES: Final = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "i686": "386"}
_DEEPEST_INDEX: Final = 4


class Found(NamedTuple):
    """One image of an archive; ``blobs`` are the names of its layers' files, lowest first.

    ``manifest`` is None in a docker archive, which has none; the layers make one.
    """

    names: tuple[str, ...]
    manifest: Manifest | None
    config_raw: bytes
    config: Config
    blobs: tuple[str, ...]

    @property
    def id(self) -> str:
        """The ID that the image gets."""
        return digests.of(self.config_raw).partition(":")[2]

    def expected(self, index: int) -> str:
        """Digest of a layer's file; "" if the archive does not say."""
        return self.manifest.layers[index].digest if self.manifest else ""


class Progress(NamedTuple):
    """What an import does now: a layer of an image, counted from 1, or with 0 the record."""

    image: str
    layer: int
    layers: int


def import_images(
    layers: Layers,
    images: Images,
    files: ArchiveFiles,
    *,
    names: Iterable[str] = (),
    tell: Callable[[Progress], None] = lambda _: None,
) -> Sequence[Image]:
    """Store every image of an archive; *names* replace those it brings, if it has one image.

    Raises ArchiveError for an archive that is not what it says, before anything of the image in
    question is visible.
    """
    found = find_images(files)
    wanted = tuple(full_name(name, registry=LOCAL) for name in names)
    if wanted and len(found) != 1:
        raise InvalidValueError(
            "archive", files.label, f"it has {len(found)} images, names are for one"
        )
    return [
        _Import(layers, images, files, one._replace(names=wanted or one.names), tell).run()
        for one in found
    ]


def find_images(files: ArchiveFiles) -> Sequence[Found]:
    """What images an archive has; reads their manifests and configurations."""
    if files.has("index.json"):
        found = _of_layout(files)
    elif files.has("manifest.json"):
        raw = _read(files, "manifest.json")
        found = _of_docker(files, raw) if raw.lstrip()[:1] == b"[" else [_of_dir(files, raw)]
    else:
        raise ArchiveError(
            f"{files.label} is no image archive: it has neither index.json nor manifest.json",
            remedy="give what podman save or skopeo copy wrote; for one layer use import-layer",
        )
    if not found:
        raise ArchiveError(f"{files.label} has no images")
    for one in found:
        if len(one.config.diff_ids) != len(one.blobs):
            raise ArchiveError(
                f"{files.label}: the configuration has {len(one.config.diff_ids)} layers, "
                f"the manifest {len(one.blobs)}"
            )
    return found


class _Import:
    """One image on its way in."""

    def __init__(
        self,
        layers: Layers,
        images: Images,
        files: ArchiveFiles,
        found: Found,
        tell: Callable[[Progress], None],
    ) -> None:
        self._layers, self._images, self._files = layers, images, files
        self._found, self._tell = found, tell
        self._made: list[str] = []

    def run(self) -> Image:
        try:
            chain = self._put_layers()
            self._say(0)
            return self._put_image(chain)
        except BaseException:
            for layer in reversed(self._made):
                with suppress(StorageError, OSError):  # somebody else may use it by now
                    self._layers.delete(layer)
            raise

    def _say(self, number: int) -> None:
        name = self._found.names[0] if self._found.names else self._found.id
        self._tell(Progress(name, number, len(self._found.blobs)))

    def _put_layers(self) -> Sequence[Layer]:
        chain: list[Layer] = []
        for index, diff_id in enumerate(self._found.config.diff_ids):
            self._say(index + 1)
            parent = chain[-1].id if chain else None
            wanted = chained(parent, diff_id)
            layer = self._existing(wanted) or self._put(index, wanted, parent)
            if layer.diff_digest != diff_id:
                raise ArchiveError(
                    f"layer {wanted[:12]} of the store has the content {layer.diff_digest}, "
                    f"not {diff_id}",
                    remedy="run storagefs check",
                )
            chain.append(layer)
        return chain

    def _put(self, index: int, wanted: str, parent: str | None) -> Layer:
        try:
            with self._files.open(self._found.blobs[index]) as stream:
                layer = self._layers.put(
                    stream,
                    id=wanted,
                    parent=parent,
                    expected_digest=self._found.expected(index),
                    expected_diff_digest=self._found.config.diff_ids[index],
                )
        except DuplicateIDError:  # another process was quicker
            existing = self._existing(wanted)
            if existing is None:
                raise
            return existing
        self._made.append(layer.id)
        return layer

    def _existing(self, identifier: str) -> Layer | None:
        with suppress(LayerUnknownError):
            layer = self._layers.find(identifier)
            return layer if layer.id == identifier else None
        return None

    def _put_image(self, chain: Sequence[Layer]) -> Image:
        found = self._found
        manifest = found.manifest or _manifest_for(found.config_raw, chain)
        top = chain[-1].id if chain else None
        items = (
            (manifest.config.digest, found.config_raw, None),
            (f"manifest-{manifest.digest}", manifest.raw, None),
            ("manifest", manifest.raw, None),
        )
        try:
            image = self._images.create(
                id=found.id,
                layer=top,
                metadata="{}",
                digest=manifest.digest,
                created=found.config.created if gotime.is_valid(found.config.created) else None,
                big_data=items,
            )
        except DuplicateIDError:
            image = self._again(found.id, top, items)
        return self._images.add_names(image.id, found.names) if found.names else image

    def _again(
        self, identifier: str, top: str | None, items: Sequence[tuple[str, bytes, None]]
    ) -> Image:
        """The same image was there already: it may have come with another manifest."""
        image = self._images.find(identifier)
        if image.layer != top:
            raise DuplicateIDError("image", identifier)
        for key, data, _ in items:
            if image.big_data_digests.get(key) != digests.of(data):
                image = self._images.set_big_data(identifier, key, data)
        return image


def chained(parent: str | None, diff_id: str) -> str:
    """ID of the layer with this content on that parent, as containers/image computes it."""
    digest = diff_id.partition(":")[2]
    if parent is None:
        return digest
    return hashlib.sha256(f"{parent}+{digest}".encode()).hexdigest()


def _of_layout(files: ArchiveFiles) -> list[Found]:
    """Images of an OCI layout: each entry of its index is one."""
    found = []
    for entry in _parsed(files, "index.json", imageformat.parse_index, _read(files, "index.json")):
        raw = _blob(files, entry)
        for _ in range(_DEEPEST_INDEX):
            if not imageformat.is_index(raw):
                break
            listed = _parsed(files, entry.digest, imageformat.parse_index, raw)
            raw = _blob(files, _for_this_machine(files, listed))
        manifest = _parsed(files, entry.digest, imageformat.parse_manifest, raw)
        names = [full_name(entry.ref_name, registry=LOCAL)] if entry.ref_name else []
        blobs = tuple(_blob_name(layer.digest) for layer in manifest.layers)
        found.append(_image(files, manifest, _blob(files, manifest.config), blobs, names))
    return found


def _of_dir(files: ArchiveFiles, raw: bytes) -> Found:
    """The image of a ``dir:`` directory, where a blob's file has the hexadecimal digest."""
    manifest = _parsed(files, "manifest.json", imageformat.parse_manifest, raw)
    config = _read(files, manifest.config.digest.partition(":")[2])
    _verify(files, manifest.config.digest, config)
    blobs = tuple(layer.digest.partition(":")[2] for layer in manifest.layers)
    return _image(files, manifest, config, blobs)


def _of_docker(files: ArchiveFiles, raw: bytes) -> list[Found]:
    """Images of a docker archive; it has no manifests, so each gets one."""
    listed = _parsed(files, "manifest.json", imageformat.parse_docker_archive, raw)
    return [_docker_image(files, one) for one in listed]


def _docker_image(files: ArchiveFiles, one: imageformat.DockerImage) -> Found:
    raw = _read(files, one.config)
    config = _parsed(files, one.config, imageformat.parse_config, raw)
    names = tuple(dict.fromkeys(full_name(name, registry=DOCKER) for name in one.names))
    return Found(names, None, raw, config, one.layers)


def _manifest_for(config_raw: bytes, chain: Sequence[Layer]) -> Manifest:
    config = imageformat.Descriptor(
        imageformat.DOCKER_CONFIG, digests.of(config_raw), len(config_raw)
    )
    layers = [
        imageformat.Descriptor(imageformat.DOCKER_LAYER, layer.diff_digest, layer.diff_size)
        for layer in chain
    ]
    return imageformat.parse_manifest(imageformat.docker_manifest(config, layers))


def _image(
    files: ArchiveFiles,
    manifest: Manifest,
    config_raw: bytes,
    blobs: tuple[str, ...],
    names: Iterable[str] = (),
) -> Found:
    config = _parsed(files, manifest.config.digest, imageformat.parse_config, config_raw)
    return Found(tuple(dict.fromkeys(names)), manifest, config_raw, config, blobs)


def _for_this_machine(files: ArchiveFiles, listed: Sequence[Descriptor]) -> Descriptor:
    machine = platform.machine()
    wanted = f"linux/{_ARCHITECTURES.get(machine, machine)}"
    for one in listed:
        if one.platform == wanted or len(listed) == 1:
            return one
    offered = ", ".join(sorted({one.platform or "unknown" for one in listed}))
    raise ArchiveError(f"{files.label} has an image for {offered}, none for {wanted}")


def _blob_name(digest: str) -> str:
    algorithm, _, digits = digest.partition(":")
    return f"blobs/{algorithm}/{digits}"


def _blob(files: ArchiveFiles, descriptor: Descriptor) -> bytes:
    raw = _read(files, _blob_name(descriptor.digest))
    _verify(files, descriptor.digest, raw)
    return raw


def _verify(files: ArchiveFiles, digest: str, raw: bytes) -> None:
    algorithm, _, digits = digest.partition(":")
    if hashlib.new(algorithm, raw).hexdigest() != digits:
        raise ArchiveError(f"{files.label}: the file of {digest} has another content")


def _read(files: ArchiveFiles, name: str) -> bytes:
    return archivefiles.read(files, name, imageformat.LARGEST)


def _parsed(files: ArchiveFiles, name: str, parse: Callable[[bytes], T], raw: bytes) -> T:
    """Read a file of the archive; say which one is bad."""
    try:
        return parse(raw)
    except ValueError as error:
        raise ArchiveError(f"{files.label}: {name}: {error}") from error
