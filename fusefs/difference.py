"""What lies between two snapshots: events, and what the kernel must forget (pure).

Used by: fusefs.session, when the watcher has a new snapshot. Knows nothing of: FUSE, clocks.

Tables that are the same object are skipped, and so are records that are: the work grows with what
changed.
"""

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

from backend.model.records import Container, Image, Layer
from backend.model.snapshot import ImageTable, LayerTable, Snapshot, Table
from backend.model.versions import differing
from drivers.ids import LayerID
from fusefs.nodes.base import Ino, node_ino
from fusefs.nodes.containers import links_by_id
from fusefs.nodes.image import layer_numbers
from fusefs.nodes.images import dangling_links, images_by_digest
from fusefs.nodes.journal import Event
from fusefs.nodes.links import group_ino
from fusefs.nodes.listings import listing_ino
from fusefs.nodes.names import encode
from fusefs.nodes.nametree import IMAGES_BY_ID, NO_NAMES, name_levels, names_ino
from fusefs.nodes.places import CONTAINERS, LAYERS, container_names, layer_component

R = TypeVar("R", Layer, Image, Container)

Entry = tuple[Ino, bytes]
"""A directory and a name in it."""

_IMAGES: Final = names_ino(())
_WHAT_AN_IMAGE_MAY_GAIN: Final = (b"manifest", b"config", b"top", b"rootfs")
_WHAT_A_CONTAINER_STANDS_ON: Final = (b"image", b"layer", b"diff")


@dataclass(frozen=True, slots=True)
class Difference:
    """What happened, and what the kernel may know that is no longer so."""

    events: tuple[Event, ...] = ()
    entries: tuple[Entry, ...] = ()
    """Names that may lead elsewhere now. The kernel keeps no name that was not there, and telling
    it about one that it has just learnt would detach what is mounted below: so new directories of
    objects are not among them."""
    deleted: tuple[tuple[Ino, bytes, Ino], ...] = ()
    """Directories of objects that are gone: where they were, their name, their own number."""
    placed: tuple[tuple[Ino, bytes, Ino], ...] = ()
    """Directories of objects that have a new name: where they are, the name, their own number.
    The kernel must forget the name unless it has met them there."""
    inodes: tuple[Ino, ...] = ()
    """Nodes whose attributes or content changed."""


@dataclass(frozen=True, slots=True)
class _Changes(Generic[R]):
    """Records of one kind that came, went, or are different now."""

    created: Sequence[R] = ()
    deleted: Sequence[R] = ()
    changed: Sequence[tuple[R, R]] = ()

    def all_states(self) -> Iterator[R]:
        """Every record that is, or was, different."""
        yield from self.created
        yield from self.deleted
        for old, new in self.changed:
            yield old
            yield new


def difference(old: Snapshot, new: Snapshot) -> Difference:
    """Compare two snapshots."""
    layers = _compare(old.layers, new.layers)
    images = _compare(old.images, new.images)
    containers = _compare(old.containers, new.containers)
    events = [
        *_events("layer", layers),
        *_events("image", images),
        *_events("container", containers),
        *_mount_events(old, new),
        *_problem_events(old, new),
    ]
    entries = [
        *_layer_entries(old, new, layers),
        *_image_entries(old, new, images),
        *_container_entries(old, new, containers),
    ]
    deleted = (
        *((LAYERS, layer_component(r.id), node_ino("layer", r.id)) for r in layers.deleted),
        *((IMAGES_BY_ID, encode(r.id), node_ino("image", r.id)) for r in images.deleted),
        *_deleted_containers(old, new, containers),
    )
    inodes = (
        *(node_ino("layer", record.id) for _, record in layers.changed),
        *(node_ino("image", record.id) for _, record in images.changed),
        *(node_ino("container", record.id) for _, record in containers.changed),
    )
    placed = tuple(_placed_containers(old, new))
    return Difference(tuple(events), tuple(dict.fromkeys(entries)), deleted, placed, inodes)


@dataclass(frozen=True, slots=True)
class Happened:
    """What happened since the kernel was last told: ``corrections`` are for it."""

    corrections: tuple[Difference, ...]
    events: tuple[Event, ...]


def since(shown: Sequence[Snapshot]) -> Happened:
    """What to tell when all of *shown*, oldest first, was shown and only the last one is true.

    The kernel may have learnt something from each of them, and must forget what is not so now,
    whatever came in between: of an object that came and went again only the middle one tells.
    """
    steps = [difference(old, new) for old, new in itertools.pairwise(shown)]
    corrections = [*(difference(old, shown[-1]) for old in shown[:-2]), *steps[-1:]]
    return Happened(tuple(corrections), tuple(event for step in steps for event in step.events))


def _compare(old: Table[R], new: Table[R]) -> _Changes[R]:
    if old is new:
        return _Changes()
    gone, come = differing(old.records, new.records)
    before = {record.id: record for record in old.records[gone]}
    after = {record.id: record for record in new.records[come]}
    changed = []
    for identifier, record in after.items():
        earlier = before.get(identifier)
        if earlier is not None and earlier is not record and earlier != record:
            changed.append((earlier, record))
    return _Changes(
        [record for identifier, record in after.items() if identifier not in before],
        [record for identifier, record in before.items() if identifier not in after],
        changed,
    )


# Events


def _events(kind: str, changes: _Changes[R]) -> Iterator[Event]:
    for record in changes.created:
        yield Event(event="created", kind=kind, id=record.id, names=record.names)
    for old, new in changes.changed:
        what = "renamed" if old.names != new.names else "changed"
        yield Event(event=what, kind=kind, id=new.id, names=new.names)
    for record in changes.deleted:
        yield Event(event="deleted", kind=kind, id=record.id, names=record.names)


def _mount_events(old: Snapshot, new: Snapshot) -> Iterator[Event]:
    if old.mounts is new.mounts:
        return
    before = {layer for layer, mounted in old.mounts.items() if mounted.count > 0}
    after = {layer for layer, mounted in new.mounts.items() if mounted.count > 0}
    for layer in sorted(after - before):
        yield _mount_event("mounted", new, layer)
    for layer in sorted(before - after):
        yield _mount_event("unmounted", old, layer)


def _mount_event(what: str, snapshot: Snapshot, layer: LayerID) -> Event:
    container = snapshot.containers.by_layer.get(layer)
    if container is None:
        return Event(event=what, kind="layer", id=layer)
    return Event(event=what, kind="container", id=container.id, names=container.names)


def _problem_events(old: Snapshot, new: Snapshot) -> Iterator[Event]:
    if old.problems == new.problems:
        return
    before, after = set(old.problems), set(new.problems)
    for problem in new.problems:
        if problem not in before:
            detail = {"path": problem.path, "reason": problem.reason, "remedy": problem.remedy}
            yield Event(event="damaged", kind=problem.kind, id=problem.id, detail=detail)
    for problem in old.problems:
        if problem not in after:
            yield Event(event="repaired", kind=problem.kind, id=problem.id)


# Entries


def _layer_entries(old: Snapshot, new: Snapshot, changes: _Changes[Layer]) -> Iterator[Entry]:
    for layer in (*changes.created, *changes.deleted):
        if layer.parent:
            yield node_ino("layer", layer.parent, "children"), layer_component(layer.id)
    for before, after in changes.changed:
        yield from _items("layer", before, after)
    yield from _layer_names(old.layers, new.layers, changes)
    yield from _layer_digests(old.layers, new.layers, changes)


def _layer_names(old: LayerTable, new: LayerTable, changes: _Changes[Layer]) -> Iterator[Entry]:
    """Names of the layers that are different, where they lead elsewhere now."""
    for name in {name for layer in changes.all_states() for name in layer.names}:
        before, after = old.by_name.get(name), new.by_name.get(name)
        if (before and before.id) != (after and after.id):
            yield listing_ino(LAYERS, "by-name"), encode(name)


def _layer_digests(old: LayerTable, new: LayerTable, changes: _Changes[Layer]) -> Iterator[Entry]:
    """The same for their digests."""
    directory = listing_ino(LAYERS, "by-digest")
    for digest in {digest for layer in changes.all_states() for digest in _digests(layer)}:
        before, after = old.by_digest.get(digest, ()), new.by_digest.get(digest, ())
        algorithm, _, digits = digest.partition(":")
        if before[:1] != after[:1]:
            yield group_ino(directory, encode(algorithm)), encode(digits)
        if not (before and after):  # perhaps the first or the last of its algorithm
            yield directory, encode(algorithm)


def _digests(layer: Layer) -> Iterator[str]:
    yield from filter(None, (layer.diff_digest, layer.compressed_diff_digest, layer.toc_digest))


def _image_entries(old: Snapshot, new: Snapshot, changes: _Changes[Image]) -> Iterator[Entry]:
    for snapshot, images in ((new, changes.created), (old, changes.deleted)):
        for image in images:
            yield from _image_and_layers(snapshot, image)
    for before, after in changes.changed:
        yield from _items("image", before, after)
        yield from ((node_ino("image", after.id), name) for name in _WHAT_AN_IMAGE_MAY_GAIN)
        if before.layer != after.layer:
            yield from _image_and_layers(old, before)
            yield from _image_and_layers(new, after)
    if old.images is not new.images:
        yield from _names(old.images, new.images)
        pending = listing_ino(_IMAGES, "dangling")
        yield from _links(pending, dangling_links(old.images), dangling_links(new.images))
        by_digest = listing_ino(_IMAGES, "by-digest")
        yield from _groups(by_digest, images_by_digest(old.images), images_by_digest(new.images))


def _image_and_layers(snapshot: Snapshot, image: Image) -> Iterator[Entry]:
    """The image in its layers, and the layers in the image."""
    chain = snapshot.layers.chain(image.layer or "")
    for layer in chain:
        yield node_ino("layer", layer.id, "images"), encode(image.id)
    for number in layer_numbers(len(chain)):
        yield node_ino("image", image.id, "layers"), number
        yield node_ino("image", image.id, "layers"), number + b".step"
        yield node_ino("image", image.id, "at"), number


def _names(old: ImageTable, new: ImageTable) -> Iterator[Entry]:
    before, after = name_levels(old), name_levels(new)
    for path in dict.fromkeys((*before, *after)):
        yield from _links(names_ino(path), before.get(path, NO_NAMES), after.get(path, NO_NAMES))


def _container_entries(
    old: Snapshot, new: Snapshot, changes: _Changes[Container]
) -> Iterator[Entry]:
    if old.containers is new.containers:
        return
    before, after = container_names(old.containers), container_names(new.containers)
    for name, identifier in before.directories.items():
        if identifier in new.containers and name not in after.directories:
            yield CONTAINERS, name
    yield from _links(CONTAINERS, before.aliases, after.aliases)
    by_id = listing_ino(CONTAINERS, "by-id")
    yield from _links(by_id, links_by_id(old.containers), links_by_id(new.containers))
    for container in changes.all_states():
        for names in (before, after):
            component = names.place.get(container.id)
            if component is not None:
                yield node_ino("layer", container.layer, "containers"), component
                yield node_ino("image", container.image, "containers"), component
    for earlier, later in changes.changed:
        yield from _items("container", earlier, later)
        directory = node_ino("container", later.id)
        yield from ((directory, name) for name in _WHAT_A_CONTAINER_STANDS_ON)


def _placed_containers(old: Snapshot, new: Snapshot) -> Iterator[tuple[Ino, bytes, Ino]]:
    if old.containers is new.containers:
        return
    before = container_names(old.containers).directories
    for name, identifier in container_names(new.containers).directories.items():
        if before.get(name) != identifier:
            yield CONTAINERS, name, node_ino("container", identifier)


def _deleted_containers(
    old: Snapshot, new: Snapshot, changes: _Changes[Container]
) -> Iterator[tuple[Ino, bytes, Ino]]:
    for container in changes.deleted:
        component = container_names(old.containers).place.get(container.id)
        if component is not None and component not in container_names(new.containers).directories:
            yield CONTAINERS, component, node_ino("container", container.id)


def _items(kind: str, old: R, new: R) -> Iterator[Entry]:
    """Data items that came or went."""
    for key in sorted(set(old.big_data_names) ^ set(new.big_data_names)):
        yield node_ino(kind, new.id, "bigdata"), encode(key)


def _links(directory: Ino, old: Mapping[bytes, Any], new: Mapping[bytes, Any]) -> Iterable[Entry]:
    """Names in one directory that are in only one mapping, or lead elsewhere in the other."""
    if old is new:
        return
    for name, target in new.items():
        if old.get(name, new) != target:
            yield directory, name
    for name in old:
        if name not in new:
            yield directory, name


def _groups(
    directory: Ino,
    old: Mapping[bytes, Mapping[bytes, bytes]],
    new: Mapping[bytes, Mapping[bytes, bytes]],
) -> Iterator[Entry]:
    for group in dict.fromkeys((*old, *new)):
        if (group in old) != (group in new):
            yield directory, group
        yield from _links(group_ino(directory, group), old.get(group, {}), new.get(group, {}))
