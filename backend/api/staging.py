"""Preparing the content of a new layer before any lock is taken.

Used by: backend.api.{layers,precopied} (copies of a parent), backend.api.putting (archives). Knows
nothing of: archives. Nobody waits for a lock while files are written; in the end all is looked at
again.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from backend.api.idmaps import maps_of
from backend.api.making import Fill, as_new, make_layer, record_layer
from backend.api.planning import LayerRequest, Plan, plan_layer
from backend.api.workshop import Workshop
from backend.errors import LayerUnknownError
from backend.files.flushing import flush_filesystems
from backend.model.records import Layer
from backend.stores.transaction import Kind
from drivers.protocol import StagedLayer, Whiteouts


def create(shop: Workshop, request: LayerRequest) -> Layer:
    """Make a layer without content of its own.

    Where the driver copies the parent for that, it does so before the locks are taken.
    """
    copies = request.parent and shop.open_driver().whiteouts is Whiteouts.REMOVE
    prepared = plan(shop, request) if copies else None
    if prepared is None or prepared.changes_owners:
        with shop.writing(Kind.LAYERS, Kind.CONTAINERS) as tx:
            wanted = plan_layer(shop, tx, request).wanted
            return make_layer(
                shop, tx, wanted, writable=request.writable, big_data=request.big_data
            )
    with content(shop, request, prepared) as copy:
        flush(shop, copy)

        def fill(layer: Layer) -> Layer:
            copy.commit()
            return layer

        return record(shop, request, prepared, fill)


def plan(shop: Workshop, request: LayerRequest) -> Plan:
    """What to prepare, as the records are now. Raises what plan_layer raises."""
    with shop.writing(Kind.LAYERS, Kind.CONTAINERS) as tx:
        return plan_layer(shop, tx, request)


@contextmanager
def content(shop: Workshop, request: LayerRequest, plan: Plan) -> Iterator[StagedLayer]:
    """A place for the content; what was not committed is erased at the end."""
    staged = shop.open_driver().stage(as_new(plan.wanted, writable=request.writable))
    try:
        yield staged
    finally:
        staged.discard()


def flush(shop: Workshop, content: StagedLayer) -> None:
    """Make the content durable, unless the store is set to do without."""
    if shop.options.sync == "filesystem":
        flush_filesystems(shop.paths.layers, f"/proc/self/fd/{content.place.root}")


def record(shop: Workshop, request: LayerRequest, plan: Plan, fill: Fill) -> Layer:
    """Make the layer, if all is as it was when its content was prepared."""
    request = request._replace(parent=plan.wanted.parent)
    with shop.writing(Kind.LAYERS, Kind.CONTAINERS) as tx:
        again = plan_layer(shop, tx, request)
        if _identity(again.below) != _identity(plan.below):
            raise LayerUnknownError(request.parent or "")  # another one has its ID now
        return record_layer(
            shop, tx, again.wanted, fill, writable=request.writable, big_data=request.big_data
        )


def _identity(layer: Layer | None) -> tuple[object, ...]:
    return (layer.id, layer.created, *maps_of(layer)) if layer else ()
