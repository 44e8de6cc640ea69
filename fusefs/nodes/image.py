"""``images/by-id/<id>/``: one image.

Used by: fusefs.nodes.images. Knows nothing of: names in the nested tree, how content is shown.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from backend.errors import BigDataUnknownError, DuplicateNameError
from backend.model.records import Image, ImageID, Layer
from backend.model.snapshot import image_digests
from fusefs.nodes.base import LONG, Caller, Node, gone, missing, node_ino
from fusefs.nodes.context import TreeContext
from fusefs.nodes.entries import Entry, link, links, probe, text
from fusefs.nodes.health import image_health
from fusefs.nodes.links import LinkDirectory, Placeholder, link_node, passing_link
from fusefs.nodes.names import decode, encode, encode_line
from fusefs.nodes.objects import COMMON, Entries, ObjectDirectory, value_line
from fusefs.nodes.places import container_path, layer_path, up
from fusefs.nodes.steps import layer_steps
from fusefs.nodes.text import DiskTextFile, SyntheticDirectory

_DEPTH: Final = 3


class ImageDirectory(ObjectDirectory):
    """One image: its record, its documents, the layers that it stands on."""

    def __init__(self, context: TreeContext, identifier: ImageID) -> None:
        super().__init__(context, "image", identifier)
        self._id = identifier

    def image(self) -> Image:
        """The record as last seen; ESTALE if it is gone."""
        image = self.context.records().images.get(self._id)
        if image is None:
            raise gone(f"image {self._id}")
        return image

    def layers(self) -> Sequence[Layer]:
        """The layers, base first."""
        top = self.image().layer
        return self.context.records().layers.chain(top)[::-1] if top else ()

    def entries(self) -> Entries:
        """Attribute files first, content last."""
        return _ENTRIES

    def shown_attributes(self) -> Mapping[str, str]:
        """ID, digest and size: the tar streams of all layers, as far as known."""
        sizes = (layer.diff_size for layer in self.layers() if layer.diff_digest)
        image = self.image()
        known = sum(size for size in sizes if size > 0) + sum(image.big_data_sizes.values())
        return {"id": image.id, "digest": image.digest, "size": str(known)}

    def steps(self) -> Sequence[str]:
        """For each layer, base first, the build step that made it; reads the configuration."""
        image, count = self.image(), len(self.layers())
        key = config_key(image)
        if key is None:
            return [""] * count

        def compute() -> Sequence[str]:
            try:
                return layer_steps(self.context.store.images.big_data(image.id, key), count)
            except (BigDataUnknownError, FileNotFoundError):
                return [""] * count

        digest = image.big_data_digests.get(key, key)
        return self.context.steps.get((image.id, digest), compute)

    def item_link(self, key_of: Callable[[Image], str | None]) -> bytes | None:
        """Where the link to one of its data items leads."""
        key = key_of(self.image())
        return None if key is None else b"bigdata/" + encode(key)

    def top_link(self) -> bytes | None:
        """Where ``top`` leads: the top layer's directory."""
        top = self.image().layer
        return up(_DEPTH, layer_path(top)) if top else None

    def rootfs_link(self) -> bytes | None:
        """Where ``rootfs`` leads."""
        top = self.top_link()
        return top + b"/rootfs" if top else None

    def views(self) -> Mapping[bytes, bytes]:
        """Links to the root file systems as they were after each layer."""
        layers = self.layers()
        return {
            number: up(_DEPTH + 1, layer_path(layer.id)) + b"/rootfs"
            for number, layer in zip(layer_numbers(len(layers)), layers, strict=True)
        }


def manifest_key(image: Image) -> str | None:
    """Which data item is the image's manifest."""
    for key in ("manifest", f"manifest-{image.digest}"):
        if key in image.big_data_names:
            return key
    return next((key for key in image.big_data_names if key.startswith("manifest")), None)


def config_key(image: Image) -> str | None:
    """Which data item is the image's configuration: it is kept under its own digest.

    An image's ID usually is that digest.
    """
    keys = [key for key in image.big_data_names if key.partition(":")[0] in ("sha256", "sha512")]
    own = f"sha256:{image.id}"
    return own if own in keys else next(iter(keys), None)


def layer_numbers(count: int) -> Sequence[bytes]:
    """``00``, ``01``, …: as many digits as the last one needs, at least two."""
    width = max(2, len(str(count - 1)))
    return [f"{number:0{width}d}".encode() for number in range(count)]


def _lines(values: Sequence[str]) -> bytes:
    return b"".join(encode_line(value) for value in values)


class _Layers(SyntheticDirectory):
    """``NN`` links to the layers, ``NN.step`` says which build step made it."""

    def __init__(self, owner: ImageDirectory) -> None:
        super().__init__(node_ino("image", owner.object.id, "layers"), owner.object.look)
        self._owner = owner

    def child(self, name: bytes) -> Node:
        number, dot, suffix = name.partition(b".")
        layers = self._owner.layers()
        numbers = layer_numbers(len(layers))
        if number not in numbers or (dot and suffix != b"step"):
            raise missing(name)
        index = numbers.index(number)
        if not dot:
            target = up(_DEPTH + 1, layer_path(layers[index].id))
            return link_node(self.ino, name, target, self._look)
        ino = node_ino("image", self._owner.object.id, "layers", name.decode())
        return DiskTextFile(ino, self._look, lambda: self._step(index), attr_timeout=LONG)

    def names(self) -> Sequence[bytes]:
        numbers = layer_numbers(len(self._owner.layers()))
        return [name for number in numbers for name in (number, number + b".step")]

    def _step(self, index: int) -> bytes:
        return value_line(self._owner.steps()[index])


class _Containers(LinkDirectory):
    """Links to the image's containers; ``mkdir NAME`` makes one."""

    def __init__(self, owner: ImageDirectory) -> None:
        super().__init__(
            node_ino("image", owner.object.id, "containers"), owner.object.look, self._made
        )
        self._owner, self._context = owner, owner.context

    def child(self, name: bytes) -> Node:
        """A listed link, or one from another name of a container of this image."""
        try:
            return super().child(name)
        except FileNotFoundError:
            table = self._context.records().containers
            container = table.by_name.get(decode(name))
            if container is None or container.image != self._owner.object.id:
                raise
            target = up(_DEPTH + 1, container_path(table, container.id))
            return passing_link(self.ino, name, target, self._look)

    def make_directory(self, name: bytes, mode: int, caller: Caller) -> Node:
        """Create a container with this name; the next look-up sees the symlink to it."""
        del mode, caller
        text = decode(name)
        if self._context.pending.container(text) is not None:
            raise DuplicateNameError("container", text, "a container that is not bound yet")
        image = self._owner.image()
        made = self._context.store.containers.create(names=(text,), image=image.id)
        return Placeholder(made.id, self._look)

    def _made(self) -> Mapping[bytes, bytes]:
        records = self._context.records()
        image = self._owner.image()
        paths = (
            container_path(records.containers, container)
            for container in records.containers.of_image(image.id)
        )
        return {path.rpartition(b"/")[2]: up(_DEPTH + 1, path) for path in paths}


_ENTRIES: Final[Mapping[bytes, Entry[ImageDirectory]]] = {
    **COMMON,
    b"digest": text("digest", lambda it: value_line(it.image().digest)),
    b"digests": text("digests", lambda it: _lines(image_digests(it.image()))),
    b"names-history": text("names-history", lambda it: _lines(it.image().names_history)),
    b"health": probe("health", lambda it: value_line(image_health(it.context, it.image()))),
    b"manifest": link("manifest", lambda it: it.item_link(manifest_key)),
    b"config": link("config", lambda it: it.item_link(config_key)),
    b"top": link("top", ImageDirectory.top_link),
    b"bigdata": Entry(ImageDirectory.bigdata),
    b"layers": Entry(_Layers),
    b"at": links("at", ImageDirectory.views),
    b"containers": Entry(_Containers),
    b"rootfs": link("rootfs", ImageDirectory.rootfs_link),
}
