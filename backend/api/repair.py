"""From what a check found to steps, the smallest remedy first; and taking them.

Used by: backend.store (as Store.plan_repair and Store.repair). Knows nothing of: how it was found.

A link that can be written again costs nothing; a stale mount is forgotten; what no record owns is
removed; only then images, and layers that nothing needs, go. Containers go only if that is asked
for, since what is in them is nowhere else. Every step looks again under the locks before it acts.
"""

from collections.abc import Callable, Iterator, Sequence, Set
from typing import NamedTuple

from backend.api import orphans
from backend.api.containerremoval import remove_container
from backend.api.imageremoval import drop, records_of, unneeded_layers
from backend.api.layers import check_unused, in_use
from backend.api.removal import remove_layer, take_away
from backend.api.workshop import Workshop
from backend.model.findings import Action, Fault, Finding, Plan, Report, Step
from backend.model.snapshot import Snapshot
from backend.stores.transaction import Kind
from drivers.errors import StorageError
from drivers.ids import LayerID

_DAMAGE = frozenset(
    (
        Fault.RECORD,
        Fault.DATA_MISSING,
        Fault.DATA_SIZE,
        Fault.DATA_DIGEST,
        Fault.LAYER_DIRECTORY,
        Fault.LAYER_DIGEST,
        Fault.LAYER_CONTENT,
        Fault.LAYER_ATTRIBUTES,
    )
)


class Done(NamedTuple):
    """A step that was taken; ``error`` is "" if it worked."""

    step: Step
    error: str


def plan(shop: Workshop, report: Report, *, containers: bool = False) -> Plan:
    """What to do about *report*; with *containers* damaged containers are deleted as well."""
    return _Planner(shop.fresh(), report, containers=containers).plan()


class _Planner:
    """Collects steps over one snapshot."""

    def __init__(self, snapshot: Snapshot, report: Report, *, containers: bool) -> None:
        self._snapshot, self._findings = snapshot, report.findings
        self._containers = containers
        self._why = {(f.kind, f.id): f.reason for f in reversed(self._damage())}

    def _damage(self) -> Sequence[Finding]:
        return [f for f in self._findings if f.fault in _DAMAGE and not f.read_only and f.id]

    def plan(self) -> Plan:
        containers = dict(self._damaged_containers()) if self._containers else {}
        images = dict(self._damaged_images())
        if not self._containers:
            blocked = {c.image for c in self._snapshot.containers}
            images = {image: why for image, why in images.items() if image not in blocked}
        layers = dict(self._damaged_layers({*images, *containers}))
        steps = [*self._small_steps()]
        steps += [Step(Action.DELETE_CONTAINER, *item) for item in containers.items()]
        steps += [Step(Action.DELETE_IMAGE, *item) for item in images.items()]
        steps += [Step(Action.DELETE_LAYER, *item) for item in layers.items()]
        treated = {step.id for step in steps}
        left = [f for f in self._findings if not f.is_note and f.id not in treated]
        return Plan(tuple(steps), tuple(left))

    def _small_steps(self) -> Iterator[Step]:
        smallest = (
            (Fault.LAYER_LINKS, Action.WRITE_LINKS),
            (Fault.MOUNT_COUNT, Action.FORGET_MOUNT),
            (Fault.LAYER_UNACCOUNTED, Action.REMOVE_DIRECTORY),
        )
        lost = {f.id for f in self._findings if f.fault is Fault.LAYER_DIRECTORY}
        for fault, action in smallest:
            found = {f.id: f for f in self._findings if f.fault is fault and not f.read_only}
            # The lowest first: what is written of a layer follows from what lies below it.
            for name in sorted(found.keys() - lost, key=self._height):
                yield Step(action, name, found[name].reason)

    def _height(self, layer: str) -> tuple[int, str]:
        return len(self._snapshot.layers.chain(layer)), layer

    def _broken_layer(self, top: str | None) -> str:
        """Why a stack of layers cannot be used; "" if it can."""
        chain = self._snapshot.layers.chain(top or "")
        for layer in chain:
            if ("layer", layer.id) in self._why:
                return f"layer {layer.id[:12]}: {self._why['layer', layer.id]}"
        return ""

    def _damaged_images(self) -> Iterator[tuple[str, str]]:
        for image in self._snapshot.images:
            why = self._why.get(("image", image.id)) or self._broken_layer(image.layer)
            if why and not image.read_only:
                yield image.id, why

    def _damaged_containers(self) -> Iterator[tuple[str, str]]:
        images = dict(self._damaged_images())
        for container in self._snapshot.containers:
            why = self._why.get(("container", container.id)) or self._broken_layer(container.layer)
            why = why or images.get(container.image, "")
            if why:
                yield container.id, why

    def _damaged_layers(self, gone: Set[str]) -> Iterator[tuple[str, str]]:
        """Layers that nothing needs once images and containers are gone; the highest first.

        One that stands on a damaged layer keeps that from going, so it goes too.
        """
        layers = self._snapshot.layers
        wrong = {f.id: f.reason for f in self._findings if f.fault is Fault.LAYER_UNREFERENCED}
        wrong |= {layer.id: why for layer in layers if (why := self._broken_layer(layer.id))}
        wrong |= {name: why for (kind, name), why in self._why.items() if kind == "layer"}
        needed = {
            layer.id
            for image in self._snapshot.images
            if image.id not in gone
            for top in (image.layer, *image.mapped_layers)
            for layer in layers.chain(top or "")
        }
        for container in self._snapshot.containers:
            if container.id not in gone:
                needed |= {layer.id for layer in layers.chain(container.layer)}
        found = [layers.get(name) for name in wrong if name not in needed]
        kept = [layer for layer in found if layer is not None and not layer.read_only]
        for layer in sorted(kept, key=lambda layer: self._height(layer.id), reverse=True):
            yield layer.id, wrong[layer.id]


def repair(
    shop: Workshop, steps: Sequence[Step], *, tell: Callable[[Step], None] = lambda _: None
) -> Sequence[Done]:
    """Take *steps*; one that fails stops none of the others."""
    done = []
    for step in steps:
        tell(step)
        error = ""
        try:
            _TAKE[step.action](shop, step.id)
        except (StorageError, OSError) as failure:
            error = str(failure)
        done.append(Done(step, error))
    return done


def _write_links(shop: Workshop, layer: str) -> None:
    with shop.writing(Kind.LAYERS) as tx:
        record = tx.layers.get(layer)
        if record is not None and not record.incomplete:
            shop.open_driver().mend(record.id, record.parent)


def _forget_mount(shop: Workshop, layer: str) -> None:
    with shop.writing(Kind.GRAPH, Kind.LAYERS) as tx, tx.mounts() as mounts:
        known = mounts.get(layer)
        if known is not None and not in_use(shop, known.id, known.path):
            mounts.drop(layer)
            mounts.save()


def _remove_directory(shop: Workshop, layer: str) -> None:
    with shop.writing(Kind.LAYERS, Kind.IMAGES, Kind.CONTAINERS) as tx:
        if layer in orphans.garbage(shop, tx):
            take_away(shop, tx, LayerID(layer))


def _delete_container(shop: Workshop, container: str) -> None:
    with shop.writing(Kind.LAYERS, Kind.CONTAINERS) as tx:
        record = tx.containers.get(container)
        if record is not None:
            remove_container(shop, tx, record)


def _delete_image(shop: Workshop, image: str) -> None:
    with shop.writing(Kind.LAYERS, Kind.IMAGES, Kind.CONTAINERS) as tx:
        records = records_of(tx, image)
        if not records or tx.containers.table.of_image(image):
            return
        drop(shop, tx, records, unneeded_layers(tx, records))


def _delete_layer(shop: Workshop, layer: str) -> None:
    with shop.writing(Kind.LAYERS, Kind.IMAGES, Kind.CONTAINERS) as tx:
        record = tx.layers.get(layer)
        if record is not None:
            check_unused(tx, record)
            remove_layer(shop, tx, record)


_TAKE: dict[Action, Callable[[Workshop, str], None]] = {
    Action.WRITE_LINKS: _write_links,
    Action.FORGET_MOUNT: _forget_mount,
    Action.REMOVE_DIRECTORY: _remove_directory,
    Action.DELETE_CONTAINER: _delete_container,
    Action.DELETE_IMAGE: _delete_image,
    Action.DELETE_LAYER: _delete_layer,
}
