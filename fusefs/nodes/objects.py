"""What layers, images and containers have in common in the tree.

Used by: fusefs.nodes.layer, image, container. Knows nothing of: what is special to a kind.
"""

import json
import os
from collections.abc import Mapping, Sequence
from typing import Any, Final

from backend.codec import recordfiles
from backend.errors import InvalidValueError
from backend.model.records import Image, Layer
from fusefs.nodes import document
from fusefs.nodes.base import Caller, Ino, Node, missing, node_ino
from fusefs.nodes.bigdata import BigDataDirectory
from fusefs.nodes.context import TreeContext
from fusefs.nodes.entries import Entry, editable, text
from fusefs.nodes.names import decode_lines, encode_line
from fusefs.nodes.stored import Record, StoredObject
from fusefs.nodes.text import SyntheticDirectory

Entries = Mapping[bytes, Entry[Any]]
"""What the directories of a kind hold, in the order in which it is listed."""


class ObjectDirectory(SyntheticDirectory):
    """The directory of one object: attribute files, links and, last, its content."""

    def __init__(self, context: TreeContext, kind: str, identifier: str) -> None:
        self.object = StoredObject(context, kind, identifier)
        self.context = context
        super().__init__(node_ino(kind, identifier), self.object.look)

    def entries(self) -> Entries:
        """What can stand in a directory of this kind: the same for all of them."""
        raise NotImplementedError

    def child(self, name: bytes) -> Node:
        """One of the entries; ESTALE if the object is gone."""
        return self._entry(name).make(self)

    def names(self) -> Sequence[bytes]:
        """All entries; ESTALE if the object is gone."""
        self.object.record()
        return tuple(name for name, entry in self.entries().items() if entry.is_there(self))

    def unlink(self, name: bytes, caller: Caller) -> None:
        """Refused, and remembered: see fusefs.nodes.guard."""
        self._entry(name)
        raise self.context.guard.refuse(self.object.key, caller, name)

    def remove_directory(self, name: bytes, caller: Caller) -> None:
        """Refused, and remembered: see fusefs.nodes.guard."""
        self.unlink(name, caller)

    def _entry(self, name: bytes) -> Entry[Any]:
        self.object.record()
        entry = self.entries().get(name)
        if entry is None or not entry.is_there(self):
            raise missing(name)
        return entry

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
        shown = self.shown_attributes() if prefix == b"user.containers" else {}
        value = shown.get(os.fsdecode(short))
        return value.encode("utf-8", "surrogateescape") if value else super().xattr(name)

    # What the entries are made of.

    def role(self, role: str) -> Ino:
        """Inode number of what has this role in the object."""
        return node_ino(self.object.key.kind, self.object.id, role)

    def bigdata(self) -> Node:
        """The directory of data items."""
        stored = self.object
        return BigDataDirectory(stored.key, stored, stored.look, self.context.guard)

    def names_text(self) -> bytes:
        """The names, one a line."""
        return b"".join(encode_line(name) for name in self.object.record().names)

    def set_names(self, lines: bytes) -> None:
        """Replace them by what was written."""
        self.object.verbs.set_names(self.object.id, decode_lines(lines))

    def set_metadata(self, written: bytes) -> None:
        """Replace the metadata by what was written."""
        self.object.verbs.set_metadata(self.object.id, metadata_from(written))


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
        return recordfiles.LAYERS.encode_record(record) + b"\n"
    if isinstance(record, Image):
        return recordfiles.IMAGES.encode_record(record) + b"\n"
    return recordfiles.CONTAINERS.encode_record(record) + b"\n"


def _surrogates(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


COMMON: Final[Mapping[bytes, Entry[ObjectDirectory]]] = {
    b"info.json": text("info.json", lambda it: _as_stored(it.object.record())),
    b"id": text("id", lambda it: value_line(it.object.id), fixed=True),
    b"created": text("created", lambda it: value_line(it.object.record().created), fixed=True),
    b"names": editable("names", ObjectDirectory.names_text, ObjectDirectory.set_names),
    b"metadata": editable(
        "metadata",
        lambda it: _surrogates(it.object.record().metadata),
        ObjectDirectory.set_metadata,
    ),
}
"""The attribute files that every object has."""
