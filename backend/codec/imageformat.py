"""Manifests, indexes and configurations of images: bytes to values and back (pure).

Used by: backend.api.importing, backend.api.exporting. Knows nothing of: where the bytes come from.

Sources: OCI image specification 1.1 (manifest.md, image-index.md, config.md, image-layout.md),
docker image manifest version 2 schema 2, and ``manifest.json`` of docker archives. What is read
comes from strangers: each reader raises ValueError with a reason for whatever it cannot use.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from backend.codec import gojson
from backend.codec.fields import integer, mapping, text, texts
from backend.model import digest as digests

LARGEST: Final = 4 << 20
"""Bytes of a manifest, index or configuration; registries and the Go tools take no more."""

OCI_INDEX: Final = "application/vnd.oci.image.index.v1+json"
OCI_MANIFEST: Final = "application/vnd.oci.image.manifest.v1+json"
OCI_LAYER: Final = "application/vnd.oci.image.layer.v1.tar"
DOCKER_INDEX: Final = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_MANIFEST: Final = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_CONFIG: Final = "application/vnd.docker.container.image.v1+json"
DOCKER_LAYER: Final = "application/vnd.docker.image.rootfs.diff.tar"

INDEXES: Final = frozenset((OCI_INDEX, DOCKER_INDEX))
REF_NAME: Final = "org.opencontainers.image.ref.name"
FULL_NAME: Final = "io.containerd.image.name"

_MOST_LAYERS: Final = 4096


class Descriptor(NamedTuple):
    """What a manifest or index says of one blob; ``platform`` is ``OS/ARCHITECTURE`` or ""."""

    media_type: str
    digest: str
    size: int
    ref_name: str = ""
    platform: str = ""


class Manifest(NamedTuple):
    """An image manifest; ``raw`` are the bytes that its digest is of."""

    raw: bytes
    media_type: str
    config: Descriptor
    layers: tuple[Descriptor, ...]

    @property
    def digest(self) -> str:
        """Digest of the manifest as it is."""
        return digests.of(self.raw)


class Config(NamedTuple):
    """What a store needs of an image configuration."""

    created: str
    diff_ids: tuple[str, ...]


class DockerImage(NamedTuple):
    """One image of a docker archive: names of members of the archive, and of the image."""

    config: str
    layers: tuple[str, ...]
    names: tuple[str, ...]


def parse_manifest(raw: bytes) -> Manifest:
    """Read an OCI or docker manifest."""
    members = mapping(gojson.decode(raw))
    if members.get("schemaVersion") != 2:
        raise ValueError("it is no manifest of schema version 2")
    media_type = text(members.get("mediaType") or OCI_MANIFEST)
    if media_type in INDEXES or "manifests" in members:
        raise ValueError("it is an index of several manifests, not a manifest")
    layers = [_descriptor(item) for item in _array(members, "layers")]
    if len(layers) > _MOST_LAYERS:
        raise ValueError(f"it has {len(layers)} layers")
    return Manifest(raw, media_type, _descriptor(members.get("config")), tuple(layers))


def parse_index(raw: bytes) -> tuple[Descriptor, ...]:
    """Read ``index.json`` or a nested index: the manifests it lists."""
    members = mapping(gojson.decode(raw))
    return tuple(_descriptor(item) for item in _array(members, "manifests"))


def is_index(raw: bytes) -> bool:
    """Whether these bytes are an index; they may lack a media type."""
    members = mapping(gojson.decode(raw))
    return "manifests" in members


def parse_config(raw: bytes) -> Config:
    """Read an image configuration."""
    members = mapping(gojson.decode(raw))
    rootfs = mapping(members.get("rootfs") or {})
    diff_ids = texts(rootfs.get("diff_ids") or [])
    for diff_id in diff_ids:
        if not digests.is_valid(diff_id):
            raise ValueError(f"{diff_id!r} in diff_ids is no digest")
    return Config(text(members.get("created") or ""), diff_ids)


def parse_docker_archive(raw: bytes) -> tuple[DockerImage, ...]:
    """Read ``manifest.json`` of a docker archive."""
    images = gojson.decode(raw)
    if type(images) is not list:
        raise ValueError("it is no list of images")
    return tuple(_docker_image(mapping(item)) for item in images)


def docker_manifest(config: Descriptor, layers: Sequence[Descriptor]) -> bytes:
    """Write a manifest for an image that came without one."""
    described = [_members(layer) for layer in layers]
    return _json(
        {
            "schemaVersion": 2,
            "mediaType": DOCKER_MANIFEST,
            "config": _members(config),
            "layers": described,
        }
    )


def uncompressed(manifest: Manifest, layers: Sequence[Descriptor]) -> bytes:
    """The manifest with other *layers*; unchanged where they are those it has."""
    if [(layer.digest, layer.size) for layer in manifest.layers] == [
        (layer.digest, layer.size) for layer in layers
    ]:
        return manifest.raw
    members = dict(mapping(gojson.decode(manifest.raw)))
    members["layers"] = [
        {**mapping(old), **_members(new)}
        for old, new in zip(members["layers"], layers, strict=True)
    ]
    return _json(members)


def plain_layer(manifest: Manifest, digest: str, size: int) -> Descriptor:
    """What a manifest of this kind calls an uncompressed layer."""
    docker = manifest.media_type == DOCKER_MANIFEST
    return Descriptor(DOCKER_LAYER if docker else OCI_LAYER, digest, size)


def index(manifests: Sequence[Descriptor]) -> bytes:
    """Write an OCI index."""
    described = [
        {**_members(one), **({"annotations": {REF_NAME: one.ref_name}} if one.ref_name else {})}
        for one in manifests
    ]
    return _json({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": described})


def docker_archive(images: Sequence[DockerImage]) -> bytes:
    """Write ``manifest.json`` of a docker archive."""
    return _json(
        [
            {"Config": one.config, "RepoTags": list(one.names) or None, "Layers": list(one.layers)}
            for one in images
        ]
    )


def _json(value: Any) -> bytes:
    """Members in the order in which they are given."""
    return gojson.encode_text(value, sort=False).encode("utf-8", "surrogateescape")


def _members(one: Descriptor) -> dict[str, Any]:
    return {"mediaType": one.media_type, "digest": one.digest, "size": one.size}


def _array(members: Mapping[str, Any], name: str) -> list[Any]:
    value = members.get(name) or []
    if type(value) is not list:
        raise ValueError(f"{name} is no list")
    return value


def _descriptor(value: Any) -> Descriptor:
    members = mapping(value)
    digest, size = text(members.get("digest") or ""), integer(members.get("size") or 0)
    if not digests.is_valid(digest):
        raise ValueError(f"{digest!r} is no digest")
    if size < 0:
        raise ValueError(f"{digest} has the size {size}")
    annotations = mapping(members.get("annotations") or {})
    platform = mapping(members.get("platform") or {})
    parts = [text(platform.get(key) or "") for key in ("os", "architecture")]
    return Descriptor(
        text(members.get("mediaType") or ""),
        digest,
        size,
        text(annotations.get(FULL_NAME) or annotations.get(REF_NAME) or ""),
        "/".join(parts) if all(parts) else "",
    )


def _docker_image(members: Mapping[str, Any]) -> DockerImage:
    config, layers = text(members.get("Config") or ""), texts(members.get("Layers") or [])
    if not config:
        raise ValueError("an image has no Config")
    if len(layers) > _MOST_LAYERS:
        raise ValueError(f"an image has {len(layers)} layers")
    return DockerImage(config, layers, texts(members.get("RepoTags") or []))
