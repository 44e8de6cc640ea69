"""Which JSON member holds which field of a record, in the order the Go tools write them (pure).

Used by: backend.codec.{recordfiles,plainrecords,imageformat}. Source: the struct tags in
containers/storage layers.go, images.go, containers.go. A reader takes decoded JSON and raises
ValueError if it is of the wrong kind; ``null`` never reaches one, it is the zero value. A writer
makes JSON text where the plain encoding would differ from Go's.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from backend.codec import gotime
from drivers.idmap.maps import IDMap


class Field(NamedTuple):
    """One member. ``always`` ones are written even if empty (no omitempty in Go)."""

    member: str
    attribute: str
    read: Callable[[Any], Any]
    always: bool = False
    write: Callable[[Any], str] | None = None


_ONLY_TEXTS: Final = frozenset({str})
_ONLY_INTEGERS: Final = frozenset({int})


def text(value: Any) -> str:
    """A string."""
    if type(value) is not str:
        raise ValueError(f"a string was expected, not {_kind(value)}")
    return value


def integer(value: Any) -> int:
    """A number without fraction; true and false are none."""
    if type(value) is not int:
        raise ValueError(f"a whole number was expected, not {_kind(value)}")
    return value


def moment(value: Any) -> str:
    """A time, kept as text."""
    written = text(value)
    if not gotime.is_valid(written):
        raise ValueError(f"{value!r} is no time")
    return written


def texts(value: Any) -> tuple[str, ...]:
    """An array of strings."""
    if _ONLY_TEXTS.issuperset(map(type, _array(value))):
        return tuple(value)
    return tuple("" if item is None else text(item) for item in value)


def integers(value: Any) -> tuple[int, ...]:
    """An array of whole numbers."""
    if _ONLY_INTEGERS.issuperset(map(type, _array(value))):
        return tuple(value)
    return tuple(0 if item is None else integer(item) for item in value)


def mapping(value: Any) -> Mapping[str, Any]:
    """An object with anything in it."""
    if type(value) is not dict:
        raise ValueError(f"an object was expected, not {_kind(value)}")
    return MappingProxyType(value)


def sizes(value: Any) -> Mapping[str, int]:
    """An object of whole numbers."""
    read = {key: 0 if item is None else integer(item) for key, item in mapping(value).items()}
    return MappingProxyType(read)


def digests(value: Any) -> Mapping[str, str]:
    """An object of strings."""
    read = {key: "" if item is None else text(item) for key, item in mapping(value).items()}
    return MappingProxyType(read)


def id_maps(value: Any) -> tuple[IDMap, ...]:
    """An array of ``{container_id, host_id, size}``."""
    return tuple([_id_map(mapping(item or {})) for item in _array(value)])


def id_maps_text(value: tuple[IDMap, ...]) -> str:
    """The same as JSON: Go writes these members in their own order, not sorted."""
    objects = (
        f'{{"container_id":{item.container_id},"host_id":{item.host_id},"size":{item.size}}}'
        for item in value
    )
    return f"[{','.join(objects)}]"


def optional_text(value: Any) -> str | None:
    """A string that is None when empty."""
    return text(value) or None


def _id_map(members: Mapping[str, Any]) -> IDMap:
    numbers = {name.lower(): integer(number or 0) for name, number in members.items()}
    return IDMap(*(numbers.get(name, 0) for name in ("container_id", "host_id", "size")))


def _array(value: Any) -> list[Any]:
    if type(value) is not list:
        raise ValueError(f"an array was expected, not {_kind(value)}")
    return value


def _kind(value: Any) -> str:
    kinds = {str: "a string", dict: "an object", list: "an array", bool: "true or false"}
    return kinds.get(type(value), "a number")


LAYER: Final = (
    Field("id", "id", text, always=True),
    Field("names", "names", texts),
    Field("parent", "parent", optional_text),
    Field("metadata", "metadata", text),
    Field("mountlabel", "mount_label", text),
    Field("created", "created", moment, always=True),
    Field("compressed-diff-digest", "compressed_diff_digest", text),
    Field("compressed-size", "compressed_size", integer),
    Field("diff-digest", "diff_digest", text),
    Field("toc-digest", "toc_digest", text),
    Field("diff-size", "diff_size", integer),
    Field("compression", "compression", integer),
    Field("uidset", "uidset", integers),
    Field("gidset", "gidset", integers),
    Field("flags", "flags", mapping),
    Field("uidmap", "uid_map", id_maps, write=id_maps_text),
    Field("gidmap", "gid_map", id_maps, write=id_maps_text),
    Field("big-data-names", "big_data_names", texts),
)

IMAGE: Final = (
    Field("id", "id", text, always=True),
    Field("digest", "digest", text),
    Field("names", "names", texts),
    Field("names-history", "names_history", texts),
    Field("layer", "layer", optional_text),
    Field("mapped-layers", "mapped_layers", texts),
    Field("metadata", "metadata", text),
    Field("big-data-names", "big_data_names", texts),
    Field("big-data-sizes", "big_data_sizes", sizes),
    Field("big-data-digests", "big_data_digests", digests),
    Field("created", "created", moment, always=True),
    Field("flags", "flags", mapping),
)

CONTAINER: Final = (
    Field("id", "id", text, always=True),
    Field("names", "names", texts),
    Field("image", "image", text, always=True),
    Field("layer", "layer", text, always=True),
    Field("metadata", "metadata", text),
    Field("big-data-names", "big_data_names", texts),
    Field("big-data-sizes", "big_data_sizes", sizes),
    Field("big-data-digests", "big_data_digests", digests),
    Field("created", "created", moment, always=True),
    Field("uidmap", "uid_map", id_maps, write=id_maps_text),
    Field("gidmap", "gid_map", id_maps, write=id_maps_text),
    Field("flags", "flags", mapping),
)

MOUNT_POINT: Final = (
    Field("id", "id", text, always=True),
    Field("path", "path", text, always=True),
    Field("count", "count", integer, always=True),
)
