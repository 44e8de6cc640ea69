"""The record files of a store as bytes and as tuples of records (pure).

Used by: backend.files.recordfile, backend.stores, backend.cli.kinds and fusefs.nodes.objects (to
show). Knows nothing of: which file, who may write it.

A file that the Go tools wrote comes back byte for byte. Members that we do not know keep their
value and their place. A record that cannot be understood does not hide the others: it is reported
beside them, and whoever would rewrite the file must refuse.
"""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final, Generic, NamedTuple, TypeVar

from backend.codec import fields, gojson
from backend.codec.fields import Field
from backend.codec.gojson import MalformedError
from backend.model.records import EMPTY, Container, Image, Layer, MountPoint

R = TypeVar("R")


class BadRecord(NamedTuple):
    """An entry that is no record. ``place`` counts from 0; ``id`` may be ""."""

    place: int
    id: str
    reason: str


class Decoded(NamedTuple, Generic[R]):
    """What a file held."""

    records: tuple[R, ...] = ()
    bad: tuple[BadRecord, ...] = ()


class Format(Generic[R]):
    """How one kind of record is written. ``kind`` is the word for people."""

    def __init__(
        self,
        kind: str,
        fields: tuple[Field, ...],
        make: Callable[..., R],
        required: frozenset[str],
        *,
        keeps_unknown: bool = True,
    ) -> None:
        self.kind, self.fields, self.required = kind, fields, required
        self._make, self._keeps_unknown = make, keeps_unknown

    def decode(self, data: bytes, **derived: Any) -> Decoded[R]:
        """Return the records in *data*; *derived* fields are set on each.

        Raises MalformedError for text that is no JSON array.
        """
        if not data:
            return Decoded()
        entries = gojson.decode(data)
        if entries is None:
            return Decoded()
        if type(entries) is not list:
            raise MalformedError(0, f"an array of {self.kind} records was expected")
        known = {field.member: field for field in self.fields}
        records: list[R] = []
        bad: list[BadRecord] = []
        for index, entry in enumerate(entries):
            try:
                records.append(self._record(entry, known, derived))
            except ValueError as exc:
                bad.append(BadRecord(index, _identifier(entry), str(exc)))
        return Decoded(tuple(records), tuple(bad))

    def encode(self, records: Sequence[R]) -> bytes:
        """Return the file's content."""
        return join([self.encode_record(record) for record in records])

    def encode_record(self, record: R) -> bytes:
        """Return one record, for :func:`join`."""
        extra = _unknown_members(record)
        parts = [_member(*member) for place, member in extra if not place]
        for field in self.fields:
            value = getattr(record, field.attribute)
            if value or field.always:
                written = field.write(value) if field.write else gojson.encode_text(value)
                parts.append(f'"{field.member}":{written}')
            if extra:
                parts += [_member(*member) for place, member in extra if place == field.member]
        return f"{{{','.join(parts)}}}".encode("utf-8", "surrogateescape")

    def _record(self, entry: Any, known: dict[str, Field], derived: Mapping[str, Any]) -> R:
        if type(entry) is not dict:
            raise ValueError("an object was expected")
        values: dict[str, Any] = dict(derived)
        extra: dict[str, Any] = {}
        after: list[str] = []
        last = ""
        for member, value in entry.items():
            field = known.get(member) or known.get(member.lower())
            if field is None:
                extra[member] = value
                after.append(last)
                continue
            last = field.member
            if value is None:
                continue
            try:
                values[field.attribute] = field.read(value)
            except ValueError as exc:
                raise ValueError(f"member {member!r}: {exc}") from None
        if extra and self._keeps_unknown:
            values["extra"], values["extra_after"] = MappingProxyType(extra), tuple(after)
        missing = [name for name in self.required if not values.get(name)]
        if missing:
            raise ValueError(f"it has no {' and no '.join(sorted(missing))}")
        return self._make(**values)


def join(records: Sequence[bytes]) -> bytes:
    """Put encoded records into one file."""
    if not records:
        return b"[]"
    parts = [b"[" + records[0], *records[1:]]  # copying one spares copying them all
    parts[-1] += b"]"
    return b",".join(parts)


def _unknown_members(record: object) -> list[tuple[str, tuple[str, Any]]]:
    """Each with the known member that it follows; one put in without a place goes first."""
    extra: Mapping[str, Any] = getattr(record, "extra", EMPTY)
    if not extra:
        return []
    after: tuple[str, ...] = getattr(record, "extra_after", ())
    places = (*after, *("" for _ in range(len(extra) - len(after))))
    return list(zip(places, extra.items(), strict=True))


def _member(name: str, value: Any) -> str:
    return f"{gojson.encode_string(name)}:{gojson.encode_text(value, sort=False)}"


def _identifier(entry: Any) -> str:
    found = entry.get("id") if isinstance(entry, dict) else None
    return found if isinstance(found, str) else ""


LAYERS: Final = Format("layer", fields.LAYER, Layer, frozenset({"id"}))
IMAGES: Final = Format("image", fields.IMAGE, Image, frozenset({"id"}))
CONTAINERS: Final = Format("container", fields.CONTAINER, Container, frozenset({"id", "layer"}))
MOUNT_POINTS: Final = Format(
    "mount point",
    fields.MOUNT_POINT,
    MountPoint,
    frozenset({"id", "path", "count"}),
    keeps_unknown=False,
)
