"""What layers, images and containers have in common in the tree.

Used by: fusefs.nodes.layer, image, container. Knows nothing of: what is special to a kind.
"""

import errno
import json
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Protocol

from backend.codec import recordfiles
from backend.errors import InvalidValueError
from backend.model.records import Container, Image, Layer
from drivers.errors import StorageError
from fusefs.nodes import document
from fusefs.nodes.base import LONG, Caller, Node, gone, missing, node_ino
from fusefs.nodes.bigdata import BigDataDirectory
from fusefs.nodes.context import TreeContext
from fusefs.nodes.derived import nanoseconds
from fusefs.nodes.editable import EditableFile, Value
from fusefs.nodes.guard import ObjectKey
from fusefs.nodes.links import LinkDirectory, link_node
from fusefs.nodes.names import decode_lines, encode_line
from fusefs.nodes.text import DiskTextFile, GeneratedFile, Look, SyntheticDirectory, TextFile

Record = Layer | Image | Container
Entries = Mapping[bytes, Callable[[], Node]]
"""What a directory holds, in the order in which it is listed."""


class Verbs(Protocol):
    """What the store can do to an object of any kind."""

    def set_names(self, ref: str, names: Sequence[str], /) -> Any:
        """Replace all names."""
        ...

    def set_metadata(self, ref: str, text: str, /) -> Any:
        """Replace the metadata."""
        ...

    def big_data(self, ref: str, key: str, /) -> bytes:
        """Read one data item."""
        ...

    def set_big_data(self, ref: str, key: str, data: bytes, /) -> Any:
        """Make or replace one data item."""
        ...

    def remove_big_data(self, ref: str, key: str, /) -> Any:
        """Remove one data item."""
        ...


class StoredObject:
    """One object of the store, found again in the newest records each time it is asked."""

    def __init__(self, context: TreeContext, kind: str, identifier: str) -> None:
        self.context = context
        self.key = ObjectKey(kind, identifier)
        self.id = identifier

    def record(self) -> Record:
        """The record as last seen; ESTALE if the object is gone."""
        records = self.context.records()
        record: Record | None
        if self.key.kind == "layer":
            record = records.layers.get(self.id)
        elif self.key.kind == "image":
            record = records.images.get(self.id)
        else:
            record = records.containers.get(self.id)
        if record is None:
            raise gone(f"{self.key.kind} {self.id}")
        return record

    @property
    def verbs(self) -> Verbs:
        """The verbs of the store for this kind."""
        store = self.context.store
        verbs: Mapping[str, Verbs] = {
            "layer": store.layers,
            "image": store.images,
            "container": store.containers,
        }
        return verbs[self.key.kind]

    def look(self) -> Look:
        """The mtime is when it was created, the ctime when the store last saw it change."""
        created = nanoseconds(self.record().created)
        seen = self.context.seen_ns.get((self.key.kind, self.id), created)
        return Look(self.context.uid, self.context.gid, created, seen)

    # The data items, as fusefs.nodes.bigdata wants them.

    def keys(self) -> Sequence[str]:
        """Keys of the data items."""
        return self.record().big_data_names

    def size(self, key: str) -> int:
        """Bytes of one item: from the record where it is there, else from the item."""
        record = self.record()
        if not isinstance(record, Layer) and key in record.big_data_sizes:
            return record.big_data_sizes[key]
        return len(self.read(key))

    def read(self, key: str) -> bytes:
        """One item."""
        return self.verbs.big_data(self.id, key)

    def write(self, key: str, data: bytes) -> None:
        """Make or replace one item."""
        self.verbs.set_big_data(self.id, key, data)

    def remove(self, key: str) -> None:
        """Remove one item."""
        self.verbs.remove_big_data(self.id, key)

    def given_up(self, what: str, failure: Exception) -> None:
        """Note a failed change that no system call can return."""
        number = failure.errno if isinstance(failure, OSError) and failure.errno else errno.EIO
        remedy = failure.remedy if isinstance(failure, StorageError) else ""
        path = f"{self.key.kind}s/{self.id}/{what}"
        self.context.journal.refused(
            None, "release", path, number, reason=str(failure), remedy=remedy
        )


class ObjectDirectory(SyntheticDirectory):
    """The directory of one object: attribute files, links and, last, its content."""

    def __init__(self, context: TreeContext, kind: str, identifier: str) -> None:
        self.object = StoredObject(context, kind, identifier)
        self.context = context
        super().__init__(node_ino(kind, identifier), self.object.look)

    def entries(self) -> Entries:
        """Names to what makes their nodes; ESTALE if the object is gone."""
        raise NotImplementedError

    def child(self, name: bytes) -> Node:
        """One of the entries."""
        make = self.entries().get(name)
        if make is None:
            raise missing(name)
        return make()

    def names(self) -> Sequence[bytes]:
        """All entries."""
        return tuple(self.entries())

    def unlink(self, name: bytes, caller: Caller) -> None:
        """Refused, and remembered: see fusefs.nodes.guard."""
        raise self._refused_deletion(name, caller)

    def remove_directory(self, name: bytes, caller: Caller) -> None:
        """Refused, and remembered: see fusefs.nodes.guard."""
        raise self._refused_deletion(name, caller)

    def _refused_deletion(self, name: bytes, caller: Caller) -> OSError:
        if name not in self.entries():
            return missing(name)
        return self.context.guard.refuse(self.object.key, caller, name)

    # Extended attributes: listed, because nobody copies an object's own directory.

    def shown_attributes(self) -> Mapping[str, str]:
        """What ``user.containers.NAME`` says; empty values are not there."""
        raise NotImplementedError

    def xattr_names(self) -> Sequence[bytes]:
        """All that have a value."""
        shown = self.shown_attributes().items()
        return [f"user.containers.{name}".encode() for name, value in shown if value]

    def xattr(self, name: bytes) -> bytes:
        """One of them."""
        prefix, _, short = name.rpartition(b".")
        value = "" if prefix != b"user.containers" else self.shown_attributes().get(short.decode())
        return value.encode("utf-8", "surrogateescape") if value else super().xattr(name)

    # What makes the entries.

    def text(
        self, role: str, render: Callable[[], bytes], *, fixed: bool = False
    ) -> Callable[[], Node]:
        """A text from the record; *fixed* ones never change while the object exists."""
        timeout = LONG if fixed else 0.0
        return lambda: TextFile(self._role(role), self.object.look, render, attr_timeout=timeout)

    def disk_text(self, role: str, render: Callable[[], bytes]) -> Callable[[], Node]:
        """A short text that needs a look at the disk."""
        return lambda: DiskTextFile(self._role(role), self.object.look, render, attr_timeout=0.0)

    def generated(self, role: str, render: Callable[[], bytes]) -> Callable[[], Node]:
        """A text that is made when it is opened."""
        return lambda: GeneratedFile(self._role(role), self.object.look, render)

    def link(self, role: str, target: bytes) -> Callable[[], Node]:
        """A symlink."""
        return lambda: link_node(self.ino, role.encode(), target, self.object.look)

    def links(self, role: str, links: Callable[[], Mapping[bytes, bytes]]) -> Callable[[], Node]:
        """A directory of symlinks."""
        return lambda: LinkDirectory(self._role(role), self.object.look, links)

    def editable(
        self, role: str, read: Callable[[], bytes], write: Callable[[bytes], None]
    ) -> Callable[[], Node]:
        """A text that can be replaced."""
        value = Value(
            read=read,
            write=write,
            size=lambda: len(read()),
            given_up=partial(self.object.given_up, role),
        )
        return lambda: EditableFile(self._role(role), self.object.look, value)

    def common_head(self) -> dict[bytes, Callable[[], Node]]:
        """The attribute files that every object has."""
        record = self.object.record
        return {
            b"info.json": self.text("info.json", lambda: _as_stored(record())),
            b"id": self.text("id", lambda: value_line(self.object.id), fixed=True),
            b"created": self.text("created", lambda: value_line(record().created), fixed=True),
            b"names": self.editable("names", self._names_text, self._set_names),
            b"metadata": self.editable(
                "metadata", lambda: _surrogates(record().metadata), self._set_metadata
            ),
        }

    def bigdata(self) -> Node:
        """The directory of data items."""
        stored = self.object
        return BigDataDirectory(stored.key, stored, stored.look, self.context.guard)

    def _role(self, role: str) -> Any:
        return node_ino(self.object.key.kind, self.object.id, role)

    def _names_text(self) -> bytes:
        return b"".join(encode_line(name) for name in self.object.record().names)

    def _set_names(self, text: bytes) -> None:
        self.object.verbs.set_names(self.object.id, decode_lines(text))

    def _set_metadata(self, text: bytes) -> None:
        self.object.verbs.set_metadata(self.object.id, metadata_from(text))


def value_line(value: str) -> bytes:
    """One value and a newline; nothing at all for a value that is not there."""
    return _surrogates(value) + b"\n" if value else b""


def flags_text(flags: Mapping[str, Any]) -> bytes:
    """Flags as one JSON object."""
    return document.line(dict(flags))


def flags_from(text: bytes) -> Mapping[str, Any]:
    """Flags from JSON text; nothing at all means no flags. Raises InvalidValueError."""
    shown = text.decode("utf-8", "replace").strip()
    try:
        flags = json.loads(text) if shown else {}
    except (ValueError, RecursionError) as exc:
        raise _bad_flags(shown, str(exc)) from exc
    if not isinstance(flags, dict):
        raise _bad_flags(shown, "it is no JSON object")
    return flags


def metadata_from(text: bytes) -> str:
    """Metadata as records hold it; InvalidValueError for what JSON cannot hold as text."""
    try:
        return text.decode()
    except UnicodeDecodeError as exc:
        shown = text[:40].decode("utf-8", "replace")
        raise InvalidValueError("metadata", shown, "it is no UTF-8 text") from exc


def _bad_flags(text: str, reason: str) -> InvalidValueError:
    remedy = 'write one JSON object, for example {"MountLabel":"","ProcessLabel":""}'
    return InvalidValueError("flags", text[:80], reason, remedy=remedy)


def _as_stored(record: Record) -> bytes:
    if isinstance(record, Layer):
        return _surrogates(recordfiles.LAYERS.encode_record(record)) + b"\n"
    if isinstance(record, Image):
        return _surrogates(recordfiles.IMAGES.encode_record(record)) + b"\n"
    return _surrogates(recordfiles.CONTAINERS.encode_record(record)) + b"\n"


def _surrogates(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
