"""The records of a store as frozen values (pure).

Used by: everything above the codec. Knows nothing of: JSON, files, locks.
Named tuples, always made with keywords: a listing pays for every import, and frozen dataclasses of
this size cost a bare interpreter's start. ``record._replace(...)`` makes a changed copy.

What the stored data means (source: containers/storage layers.go, images.go, containers.go):

created               Nanoseconds since the epoch are not enough: Go keeps the text's zone. We keep
                      the RFC 3339 text as it was written; ``backend.codec.gotime`` reads it.
diff_size             Length of the layer's tar stream after decompression. Valid whenever
                      diff_digest is set; -1 means "not known" and occurs only with toc_digest.
compressed_size       Valid only with compressed_diff_digest.
compression           0 none, 1 bzip2, 2 gzip, 3 xz, 4 zstd.
flags                 Free-form. ``incomplete: true`` marks a layer that is half made or half
                      deleted; the next writer removes it.
extra                 Members that we do not know, in the order they came, as decoded JSON; they
                      are written back.
extra_after           For each of them in turn the known member that it followed ("" for none), so
                      that it returns to its place.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final, NamedTuple, NewType

from drivers.idmap.maps import IDMap
from drivers.ids import LayerID

ImageID = NewType("ImageID", str)
ContainerID = NewType("ContainerID", str)

EMPTY: Final[Mapping[str, Any]] = MappingProxyType({})


class Layer(NamedTuple):
    """One entry of layers.json or volatile-layers.json."""

    id: LayerID
    names: tuple[str, ...] = ()
    parent: LayerID | None = None
    metadata: str = ""
    mount_label: str = ""
    created: str = "0001-01-01T00:00:00Z"
    compressed_diff_digest: str = ""
    compressed_size: int = 0
    diff_digest: str = ""
    diff_size: int = 0
    toc_digest: str = ""
    compression: int = 0
    uidset: tuple[int, ...] = ()
    gidset: tuple[int, ...] = ()
    flags: Mapping[str, Any] = EMPTY
    uid_map: tuple[IDMap, ...] = ()
    gid_map: tuple[IDMap, ...] = ()
    big_data_names: tuple[str, ...] = ()
    extra: Mapping[str, Any] = EMPTY
    extra_after: tuple[str, ...] = ()
    # Derived, never written: the file of the record, and whether that is an additional store's.
    location: str = ""
    read_only: bool = False

    @property
    def incomplete(self) -> bool:
        """Half made or half deleted; only boolean true counts, as in the Go tools."""
        return self.flags.get("incomplete") is True


class Image(NamedTuple):
    """One entry of images.json. ``layer`` is the top layer; None for an image without layers."""

    id: ImageID
    digest: str = ""
    names: tuple[str, ...] = ()
    names_history: tuple[str, ...] = ()
    layer: LayerID | None = None
    mapped_layers: tuple[LayerID, ...] = ()
    metadata: str = ""
    big_data_names: tuple[str, ...] = ()
    big_data_sizes: Mapping[str, int] = EMPTY
    big_data_digests: Mapping[str, str] = EMPTY
    created: str = "0001-01-01T00:00:00Z"
    flags: Mapping[str, Any] = EMPTY
    extra: Mapping[str, Any] = EMPTY
    extra_after: tuple[str, ...] = ()
    location: str = ""
    read_only: bool = False


class Container(NamedTuple):
    """One entry of containers.json or volatile-containers.json.

    ``image`` is "" for a container without an image; ``layer`` is its own writable layer.
    """

    id: ContainerID
    layer: LayerID
    names: tuple[str, ...] = ()
    image: str = ""
    metadata: str = ""
    big_data_names: tuple[str, ...] = ()
    big_data_sizes: Mapping[str, int] = EMPTY
    big_data_digests: Mapping[str, str] = EMPTY
    created: str = "0001-01-01T00:00:00Z"
    uid_map: tuple[IDMap, ...] = ()
    gid_map: tuple[IDMap, ...] = ()
    flags: Mapping[str, Any] = EMPTY
    extra: Mapping[str, Any] = EMPTY
    extra_after: tuple[str, ...] = ()
    location: str = ""
    read_only: bool = False


class MountPoint(NamedTuple):
    """One entry of mountpoints.json: a hint, the kernel's mount table decides."""

    id: LayerID
    path: str
    count: int  # type: ignore[assignment]  # hides tuple.count, which a record has no use for
