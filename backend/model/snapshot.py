"""All records of a store at one moment, with the look-ups that answer in constant time (pure).

Used by: backend.store (makes them), backend.api and fusefs (read them).
Knows nothing of: files, locks, how fresh it is.

A snapshot is a value: it never changes. A table is shared between snapshots until a record of its
kind changes, so its indexes are computed once, at their first use.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Generic, NamedTuple, Protocol, TypeVar

from backend.model.records import Container, ContainerID, Image, ImageID, Layer, MountPoint
from drivers.errors import StorageError
from drivers.ids import LayerID


class _Record(Protocol):
    @property
    def id(self) -> str: ...
    @property
    def names(self) -> tuple[str, ...]: ...


R = TypeVar("R", bound=_Record)


class Problem(NamedTuple):
    """Something in the store that cannot be used as it is; the rest can.

    ``kind`` is ``layer``, ``image``, ``container`` or ``store``; ``id`` may be "" (a whole file).
    """

    kind: str
    id: str
    path: str
    reason: str
    remedy: str


class Table(Generic[R]):
    """Records of one kind in listing order. The first record with an ID or a name has it.

    ``unread`` says why some records of the kind could not be read: what is not here may exist.
    """

    def __init__(self, records: Iterable[R] = (), unread: StorageError | None = None) -> None:
        self.records: tuple[R, ...] = tuple(records)
        self.unread = unread

    def __iter__(self) -> Iterator[R]:
        return iter(self.records)

    def __len__(self) -> int:
        return len(self.records)

    def __contains__(self, identifier: object) -> bool:
        return identifier in self.by_id

    def get(self, identifier: str) -> R | None:
        """The record with exactly this ID."""
        return self.by_id.get(identifier)

    @cached_property
    def by_id(self) -> Mapping[str, R]:
        """Full ID to record."""
        return {record.id: record for record in reversed(self.records)}

    @cached_property
    def by_name(self) -> Mapping[str, R]:
        """Name to record."""
        return {name: record for record in reversed(self.records) for name in record.names}

    @cached_property
    def _sorted_ids(self) -> Sequence[str]:
        return sorted(self.by_id)

    def with_prefix(self, prefix: str, limit: int = 2) -> Sequence[R]:
        """Up to *limit* records whose ID starts with *prefix*; none for the empty prefix."""
        if not prefix:
            return ()
        from bisect import bisect_left  # a library of its own, which listing does not need

        first = bisect_left(self._sorted_ids, prefix)
        near = self._sorted_ids[first : first + limit]
        return [self.by_id[identifier] for identifier in near if identifier.startswith(prefix)]

    def find(self, reference: str) -> R | None:
        """Exact ID, then exact name, then unique ID prefix: the Go tools' order."""
        exact = self.by_id.get(reference) or self.by_name.get(reference)
        if exact is not None:
            return exact
        near = self.with_prefix(reference)
        return near[0] if len(near) == 1 else None


class LayerTable(Table[Layer]):
    """Layers, with their children and digests."""

    @cached_property
    def incomplete(self) -> Sequence[Layer]:
        """Those that are half made or half deleted."""
        return [layer for layer in self.records if layer.flags and layer.incomplete]

    @cached_property
    def _children(self) -> Mapping[str, Sequence[LayerID]]:
        children: defaultdict[str, list[LayerID]] = defaultdict(list)
        for layer in self.by_id.values():
            if layer.parent:
                children[layer.parent].append(layer.id)
        return children

    def children(self, layer: str) -> Sequence[LayerID]:
        """Layers whose parent is *layer*."""
        return self._children.get(layer, ())

    @cached_property
    def by_digest(self) -> Mapping[str, Sequence[LayerID]]:
        """Compressed, uncompressed and TOC digests (``sha256:…``) to layers."""
        found: defaultdict[str, list[LayerID]] = defaultdict(list)
        for layer in self.by_id.values():
            digests = {layer.diff_digest, layer.compressed_diff_digest, layer.toc_digest}
            for digest in digests - {""}:
                found[digest].append(layer.id)
        return found

    @cached_property
    def by_compressed_digest(self) -> Mapping[str, Sequence[Layer]]:
        """Digest of the archive as it came to the layers made of it, incomplete ones left out."""
        return self._index("compressed_diff_digest")

    @cached_property
    def by_uncompressed_digest(self) -> Mapping[str, Sequence[Layer]]:
        """Digest of the plain archive (the DiffID of an image's configuration) to layers."""
        return self._index("diff_digest")

    @cached_property
    def by_toc_digest(self) -> Mapping[str, Sequence[Layer]]:
        """Digest of the table of contents of a partial pull to layers."""
        return self._index("toc_digest")

    def _index(self, field: str) -> Mapping[str, Sequence[Layer]]:
        found: defaultdict[str, list[Layer]] = defaultdict(list)
        for layer in self.records:
            digest = getattr(layer, field)
            if digest and not layer.incomplete:
                found[digest].append(layer)
        return found

    def chain(self, layer: str) -> Sequence[Layer]:
        """*layer* and its ancestors, top first; ends where a parent is missing or repeats."""
        chain: list[Layer] = []
        seen: set[str] = set()
        current: str | None = layer
        while current and current not in seen:
            seen.add(current)
            record = self.get(current)
            if record is None:
                break
            chain.append(record)
            current = record.parent
        return chain


class ImageTable(Table[Image]):
    """Images, with the layers that they stand on."""

    @cached_property
    def _by_top(self) -> Mapping[str, Sequence[ImageID]]:
        found: defaultdict[str, list[ImageID]] = defaultdict(list)
        for image in self.by_id.values():
            for layer in dict.fromkeys((image.layer, *image.mapped_layers)):
                if layer:
                    found[layer].append(image.id)
        return found

    def with_top(self, layer: str) -> Sequence[ImageID]:
        """Images whose top layer, or a mapped copy of it, is *layer*."""
        return self._by_top.get(layer, ())

    @cached_property
    def by_digest(self) -> Mapping[str, Sequence[ImageID]]:
        """Every digest of an image (its own and those of its manifests) to images."""
        found: defaultdict[str, list[ImageID]] = defaultdict(list)
        for image in self.by_id.values():
            for digest in image_digests(image):
                found[digest].append(image.id)
        return found


class ContainerTable(Table[Container]):
    """Containers, with their layers and images."""

    @cached_property
    def by_layer(self) -> Mapping[str, Container]:
        """A container's own layer to the container; the later record wins, as in Go."""
        return {record.layer: record for record in self.records}

    @cached_property
    def _by_image(self) -> Mapping[str, Sequence[ContainerID]]:
        found: defaultdict[str, list[ContainerID]] = defaultdict(list)
        for container in self.by_id.values():
            if container.image:
                found[container.image].append(container.id)
        return found

    def of_image(self, image: str) -> Sequence[ContainerID]:
        """Containers made from *image*."""
        return self._by_image.get(image, ())

    def find(self, reference: str) -> Container | None:
        """Exact ID, exact name, exact layer ID, then unique ID prefix."""
        exact = self.by_id.get(reference) or self.by_name.get(reference)
        return exact or self.by_layer.get(reference) or super().find(reference)


def image_digests(image: Image) -> Sequence[str]:
    """The image's own digest, then those of its manifests (keys that start with manifest)."""
    manifests = (d for key, d in image.big_data_digests.items() if key.startswith("manifest"))
    return [digest for digest in dict.fromkeys((image.digest, *manifests)) if digest]


class Snapshot:
    """Every record of the store, as of one look."""

    def __init__(
        self,
        layers: LayerTable,
        images: ImageTable,
        containers: ContainerTable,
        mounts: Mapping[LayerID, MountPoint],
        find_problems: Callable[[], Iterable[Problem]] = tuple,
    ) -> None:
        self.layers, self.images, self.containers = layers, images, containers
        self.mounts, self._find_problems = mounts, find_problems

    @cached_property
    def problems(self) -> tuple[Problem, ...]:
        """What cannot be used as it is."""
        return tuple(self._find_problems())

    @cached_property
    def _images_on(self) -> Mapping[LayerID, Sequence[ImageID]]:
        found: defaultdict[LayerID, list[ImageID]] = defaultdict(list)
        for image in self.images.by_id.values():
            if image.layer:
                for layer in self.layers.chain(image.layer):
                    found[layer.id].append(image.id)
        return found

    def images_on(self, layer: LayerID) -> Sequence[ImageID]:
        """Images whose chain of layers contains *layer*."""
        return self._images_on.get(layer, ())
