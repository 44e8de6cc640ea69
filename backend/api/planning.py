"""What is asked of a new layer, checked against the records.

Used by: backend.api.{layers,staging,putting}, backend.cli.creating.
Knows nothing of: directories, archives.
Source of the rules: containers/storage store.go (putLayer, populateLayerOptions).
"""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple, TypedDict

from backend.api import lookup
from backend.api.idmaps import Maps, check_maps, maps_of, recorded
from backend.api.making import check_new
from backend.api.objects import checked_names
from backend.api.workshop import Workshop, component, storable
from backend.errors import (
    DamagedError,
    InvalidValueError,
    ParentIsContainerError,
)
from backend.files import bigdata
from backend.model.records import EMPTY, Layer
from backend.stores.transaction import WriteTx
from drivers.idmap.maps import IDMap
from drivers.ids import LayerID, generate_id


class LayerOptions(TypedDict, total=False):
    """What can be said about a new layer.

    Without an ``id`` it gets a random one; ``parent`` is any reference. Without ID maps it gets
    those of its parent or of the store, unless the host's IDs are asked for.
    """

    id: str | None
    parent: str | None
    names: Iterable[str]
    mount_label: str
    metadata: str
    flags: Mapping[str, Any]
    big_data: Iterable[tuple[str, bytes]]
    uid_map: tuple[IDMap, ...]
    gid_map: tuple[IDMap, ...]
    host_uid_mapping: bool
    host_gid_mapping: bool


class LayerRequest(NamedTuple):
    """What a caller wants of a new layer.

    ``writable`` decides about the kind of directory, and with a separate image store about the
    place. ``maps`` are empty where nothing was said; ``host`` says whether that means the host's
    user IDs and group IDs.
    """

    id: LayerID
    parent: str | None
    names: tuple[str, ...]
    writable: bool
    mount_label: str
    metadata: str
    flags: Mapping[str, Any]
    maps: Maps
    host: tuple[bool, bool]
    big_data: tuple[tuple[str, bytes], ...]

    @classmethod
    def of(cls, about: LayerOptions, *, writable: bool) -> "LayerRequest":
        """The request with everything filled in that *about* does not say."""
        given = about.get("id")
        host = about.get("host_uid_mapping", False), about.get("host_gid_mapping", False)
        return cls(
            id=LayerID(generate_id() if given is None else given),
            parent=about.get("parent"),
            names=tuple(about.get("names", ())),
            writable=writable,
            mount_label=about.get("mount_label", ""),
            metadata=about.get("metadata", ""),
            flags=about.get("flags", EMPTY),
            maps=Maps(
                () if host[0] else about.get("uid_map", ()),
                () if host[1] else about.get("gid_map", ()),
            ),
            host=host,
            big_data=tuple(about.get("big_data", ())),
        )


class Plan(NamedTuple):
    """The record that a request leads to, and the layer below it."""

    wanted: Layer
    below: Layer | None

    @property
    def changes_owners(self) -> bool:
        """Whether the files of the layers below get other owners on disk in the new one."""
        return self.below is not None and maps_of(self.below) != maps_of(self.wanted)


def plan_layer(shop: Workshop, tx: WriteTx, request: LayerRequest) -> Plan:
    """Check *request* against the records as they are now. Layers and containers are locked.

    Raises DuplicateIDError, DuplicateNameError, LayerUnknownError, ParentIsContainerError and
    InvalidValueError.
    """
    component("layer ID", request.id)
    check_new(tx, request.id)
    check_flags(request.flags)
    check_maps(request.maps)
    for key, _ in request.big_data:
        bigdata.path_of("", storable("big data key", key))
    names = tx.layers.claim_names(checked_names(request.names))
    below = _parent(shop, tx, request.parent) if request.parent else None
    options = shop.options
    inherited = maps_of(below) if below else Maps(options.uid_map, options.gid_map)
    host_uid, host_gid = request.host
    asked = request.maps.or_else(inherited, host_uid=host_uid, host_gid=host_gid)
    maps = recorded(shop, asked)
    wanted = Layer(
        id=request.id,
        names=names,
        parent=below.id if below else None,
        metadata=storable("metadata", request.metadata),
        mount_label=request.mount_label,
        flags=request.flags,
        uid_map=maps.uid,
        gid_map=maps.gid,
    )
    return Plan(wanted, below)


def check_flags(flags: Mapping[str, Any]) -> None:
    """Raise InvalidValueError for the flag that tells half-made layers apart."""
    if "incomplete" in flags:
        raise InvalidValueError("flag", "incomplete", "the store itself sets and clears it")


def _parent(shop: Workshop, tx: WriteTx, reference: str) -> Layer:
    parent = lookup.layer(shop.all_layers(tx), reference)
    if parent.incomplete:
        reason = "it is half made or half deleted"
        raise DamagedError(f"would-be parent layer {parent.id[:12]}", parent.location, reason)
    container = tx.containers.table.by_layer.get(parent.id)
    if container is not None:
        raise ParentIsContainerError(parent.id, container.id)
    return parent
