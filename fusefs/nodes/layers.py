"""``layers/``: all layers, under their IDs and other names.

Used by: fusefs.nodes.root. Knows nothing of: what a layer's directory holds.
"""

from collections.abc import Mapping, Sequence
from typing import ClassVar

from backend.errors import LayerUnknownError
from backend.model.records import Layer
from backend.model.snapshot import LayerTable
from fusefs.nodes.base import Caller, Node, missing
from fusefs.nodes.context import TreeContext
from fusefs.nodes.derived import in_order, once_per
from fusefs.nodes.guard import ObjectKey
from fusefs.nodes.layer import LayerDirectory
from fusefs.nodes.links import GroupDirectory, LinkDirectory, digest_links
from fusefs.nodes.listings import Listing, by_prefix, listing_ino
from fusefs.nodes.names import LONGEST, decode, encode
from fusefs.nodes.places import LAYER_LISTINGS, LAYERS, layer_component
from fusefs.nodes.shortlinks import short_links


class LayersDirectory(Listing):
    """The listing. rmdir deletes a layer."""

    def __init__(self, context: TreeContext) -> None:
        super().__init__(context, LAYERS)

    def child(self, name: bytes) -> Node:
        """A further listing, a layer, or a symlink from a prefix or a name of one."""
        if name in LAYER_LISTINGS:
            return self._listing(name)
        table = self.context.records().layers
        text = decode(name)
        layer = table.get(text)
        if layer is not None and layer_component(layer.id) == name:
            return LayerDirectory(self.context, layer.id)
        layer = layer or table.by_name.get(text) or by_prefix(table, text, LayerUnknownError)
        if layer is None:
            raise missing(name)
        return self.also_known_as(name, layer_component(layer.id))

    def names(self) -> Sequence[bytes]:
        """The further listings, then all layers in the store's order."""
        return LAYER_LISTINGS + _components(self.context.records().layers)

    def remove_directory(self, name: bytes, caller: Caller) -> None:
        """Delete the layer."""
        layer = self._listed(name)
        key = ObjectKey("layer", layer.id)
        self.context.guard.check(key, caller, name)
        self.context.content.withdraw(key)
        self.context.store.layers.delete(layer.id)

    def _listed(self, name: bytes) -> Layer:
        layer = self.context.records().layers.get(decode(name))
        if layer is None or layer_component(layer.id) != name:
            raise missing(name)
        return layer

    def _listing(self, name: bytes) -> Node:
        if name == b"by-link":
            return _ByLink(self.context)
        table = self.context.records
        if name == b"by-digest":
            return GroupDirectory(
                self.number("by-digest"), self._look, lambda: layers_by_digest(table().layers)
            )
        return LinkDirectory(
            self.number("by-name"), self._look, lambda: layers_by_name(table().layers)
        )


class _ByLink(Listing):
    """Short links that other tools quote, each a symlink to its layer. On disk, so it may wait."""

    in_memory: ClassVar[bool] = False

    def __init__(self, context: TreeContext) -> None:
        super().__init__(context, listing_ino(LAYERS, "by-link"))

    def child(self, name: bytes) -> Node:
        links = short_links(self.context)
        layer = links.layer_of_link(decode(name)) if links else None
        if layer is None or layer not in self.context.records().layers:
            raise missing(name)
        return self.also_known_as(name, b"../" + layer_component(layer))

    def names(self) -> Sequence[bytes]:
        links = short_links(self.context)
        return tuple(encode(link) for link in links.links()) if links else ()


@once_per
def _components(table: LayerTable) -> tuple[bytes, ...]:
    components = (layer_component(layer.id) for layer in in_order(table))
    return tuple(component for component in components if len(component) <= LONGEST)


@once_per
def layers_by_name(table: LayerTable) -> Mapping[bytes, bytes]:
    """Links from names to layers, from ``layers/by-name/``."""
    named = ((encode(name), layer.id) for name, layer in table.by_name.items())
    return {name: b"../" + layer_component(layer) for name, layer in named if len(name) <= LONGEST}


@once_per
def layers_by_digest(table: LayerTable) -> Mapping[bytes, Mapping[bytes, bytes]]:
    """Links from digests to layers, by algorithm, from ``layers/by-digest/ALGORITHM/``."""
    return digest_links(table.by_digest, lambda layer: b"../../" + layer_component(layer))
