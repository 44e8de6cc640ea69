"""``layers/<id>/``: one layer.

Used by: fusefs.nodes.layers. Knows nothing of: how content is shown (ContentProvider).
"""

import re
from collections.abc import Callable, Mapping
from typing import Final

from backend.model.records import Layer
from drivers.ids import LayerID
from drivers.protocol import Change
from fusefs.nodes import changes
from fusefs.nodes.base import Caller, Directory, File, Ino, Node, gone, node_ino
from fusefs.nodes.context import TreeContext
from fusefs.nodes.entries import D, Entry, generated, link, links, probe, text
from fusefs.nodes.health import layer_health
from fusefs.nodes.layertar import LayerTar
from fusefs.nodes.links import LinkDirectory, Placeholder, passing_link
from fusefs.nodes.names import decode, encode
from fusefs.nodes.objects import COMMON, Entries, ObjectDirectory, flags_text, value_line
from fusefs.nodes.places import (
    container_path,
    image_path,
    layer_component,
    layer_path,
    up,
)
from fusefs.nodes.shortlinks import short_links
from fusefs.nodes.text import Look

_DEPTH: Final = 2
_FULL_ID: Final = re.compile(r"[0-9a-f]{64}")


class LayerDirectory(ObjectDirectory):
    """One layer: its record, what it is linked with, its content."""

    def __init__(self, context: TreeContext, identifier: LayerID) -> None:
        super().__init__(context, "layer", identifier)
        self._id = identifier

    def layer(self) -> Layer:
        """The record as last seen; ESTALE if it is gone."""
        layer = self.context.records().layers.get(self._id)
        if layer is None:
            raise gone(f"layer {self._id}")
        return layer

    def entries(self) -> Entries:
        """Attribute files first, content last."""
        return _ENTRIES

    def shown_attributes(self) -> Mapping[str, str]:
        """ID, digest, parent and size."""
        layer = self.layer()
        return {
            "id": layer.id,
            "digest": layer.diff_digest,
            "parent": layer.parent or "",
            "size": known_size(layer),
        }

    def parent_link(self) -> bytes | None:
        """Where ``parent`` leads."""
        parent = self.layer().parent
        return b"../" + layer_component(parent) if parent else None

    def link_text(self) -> bytes:
        """Its short link."""
        links = short_links(self.context)
        return value_line((links.link_of(self._id) if links else None) or "")

    def changes(self) -> list[Change]:
        """What the layer changes; computed by the driver."""
        self.layer()
        return list(self.context.store.layers.changes(self._id))

    def mount_count(self) -> int:
        """How often it is mounted, as the store counts."""
        return mount_count(self.context, self._id)

    def diff(self) -> Directory:
        """Its raw content."""
        return self.context.content.layer_diff(self._id)

    def rootfs(self) -> Directory:
        """Merged from the base up to here."""
        return self.context.content.layer_rootfs(self._id)

    def tar(self) -> File:
        """What it adds, as an archive."""
        layers = self.context.store.layers
        return LayerTar(self.role("layer.tar"), self.object.look, layers, self.layer)

    def container_links(self) -> Mapping[bytes, bytes]:
        """The container whose layer it is."""
        table = self.context.records().containers
        container = table.by_layer.get(self._id)
        if container is None:
            return {}
        path = container_path(table, container.id)
        return {path.rpartition(b"/")[2]: up(_DEPTH + 1, path)}


def change_entries(made: Callable[[D], list[Change]]) -> Mapping[bytes, Entry[D]]:
    """The files that show what a layer changes; they are computed when they are opened."""
    return {
        b"changes": generated("changes", lambda it: changes.as_text(made(it))),
        b"changes.json": generated("changes.json", lambda it: changes.as_json(made(it))),
        b"deleted": generated("deleted", lambda it: changes.removals(made(it))),
    }


def mount_count(context: TreeContext, layer: LayerID) -> int:
    """How often the layer is mounted, as the store counts."""
    mounted = context.records().mounts.get(layer)
    return mounted.count if mounted else 0


def known_size(layer: Layer) -> str:
    """Bytes of the uncompressed tar, or "" where nobody knows."""
    known = layer.diff_size >= 0 and (layer.diff_digest or layer.toc_digest)
    return str(layer.diff_size) if known else ""


def _compressed_size(layer: Layer) -> str:
    return str(layer.compressed_size) if layer.compressed_diff_digest else ""


class _MakingDirectory(LinkDirectory):
    """Links to objects of one kind that stand on a layer; ``mkdir`` makes another one.

    mkdir(2) gets an empty placeholder; the next look-up of the name sees the symlink.
    """

    def __init__(self, owner: LayerDirectory, role: str, look: Callable[[], Look]) -> None:
        number: Ino = node_ino("layer", owner.object.id, role)
        super().__init__(number, look, self.made_links)
        self.owner, self.context = owner, owner.context

    def made_links(self) -> Mapping[bytes, bytes]:
        """Names to targets."""
        raise NotImplementedError

    def make(self, identifier: str | None, names: tuple[str, ...]) -> str:
        """Make the object; return its ID."""
        raise NotImplementedError

    def find(self, name: str) -> bytes | None:
        """Path, from the root of the tree, of what answers to a name and is listed by its ID."""
        raise NotImplementedError

    def child(self, name: bytes) -> Node:
        """A listed link, or one from the name of an object to it."""
        try:
            return super().child(name)
        except FileNotFoundError:
            path = self.find(decode(name))
            if path is None or path.rpartition(b"/")[2] not in self._links():
                raise
            return passing_link(self.ino, name, up(_DEPTH + 1, path), self._look)

    def make_directory(self, name: bytes, mode: int, caller: Caller) -> Node:
        """Make an object with this ID (64 hexadecimal digits) or with this name."""
        del mode, caller
        self.owner.layer()
        text = decode(name)
        if _FULL_ID.fullmatch(text):
            return Placeholder(self.make(text, ()), self._look)
        return Placeholder(self.make(None, (text,)), self._look)


class _Children(_MakingDirectory):
    def __init__(self, owner: LayerDirectory) -> None:
        super().__init__(owner, "children", owner.object.look)

    def made_links(self) -> Mapping[bytes, bytes]:
        layer = self.owner.layer()
        return {
            layer_component(child): b"../../" + layer_component(child)
            for child in self.context.records().layers.children(layer.id)
        }

    def make(self, identifier: str | None, names: tuple[str, ...]) -> str:
        parent = self.owner.object.id
        layers = self.context.store.layers
        return layers.create(id=identifier, parent=parent, names=names).id

    def find(self, name: str) -> bytes | None:
        layer = self.context.records().layers.by_name.get(name)
        return layer_path(layer.id) if layer else None


class _Images(_MakingDirectory):
    def __init__(self, owner: LayerDirectory) -> None:
        super().__init__(owner, "images", owner.object.look)

    def made_links(self) -> Mapping[bytes, bytes]:
        layer = self.owner.layer()
        return {
            encode(image): up(_DEPTH + 1, image_path(image))
            for image in self.context.records().images_on(layer.id)
        }

    def make(self, identifier: str | None, names: tuple[str, ...]) -> str:
        layer = self.owner.object.id
        return self.context.store.images.create(id=identifier, names=names, layer=layer).id

    def find(self, name: str) -> bytes | None:
        image = self.context.records().images.by_name.get(name)
        return image_path(image.id) if image else None


_ENTRIES: Final[Mapping[bytes, Entry[LayerDirectory]]] = {
    **COMMON,
    b"parent": link("parent", LayerDirectory.parent_link),
    b"digest": text("digest", lambda it: value_line(it.layer().diff_digest)),
    b"size": text("size", lambda it: value_line(known_size(it.layer()))),
    b"compressed-digest": text(
        "compressed-digest", lambda it: value_line(it.layer().compressed_diff_digest)
    ),
    b"compressed-size": text(
        "compressed-size", lambda it: value_line(_compressed_size(it.layer()))
    ),
    b"toc-digest": text("toc-digest", lambda it: value_line(it.layer().toc_digest)),
    b"mountlabel": text("mountlabel", lambda it: value_line(it.layer().mount_label)),
    b"mount-count": text("mount-count", lambda it: value_line(str(it.mount_count()))),
    b"flags": text("flags", lambda it: flags_text(it.layer().flags)),
    b"link": probe(
        "link", LayerDirectory.link_text, lambda it: short_links(it.context) is not None
    ),
    b"health": probe("health", lambda it: value_line(layer_health(it.context, it.layer()))),
    **change_entries(LayerDirectory.changes),
    b"layer.tar": Entry(LayerDirectory.tar),
    b"bigdata": Entry(LayerDirectory.bigdata),
    b"children": Entry(_Children),
    b"images": Entry(_Images),
    b"containers": links("containers", LayerDirectory.container_links),
    b"diff": Entry(LayerDirectory.diff),
    b"rootfs": Entry(LayerDirectory.rootfs),
}
