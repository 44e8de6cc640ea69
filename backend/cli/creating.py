"""Verbs that create layers, images and containers.

Used by: backend.cli.command. Knows nothing of: how they are made.
"""

from backend.cli import kinds
from backend.cli.inputs import id_maps, metadata_of, source
from backend.cli.progress import Progress
from backend.cli.request import Request


def layer(request: Request) -> int:
    """Make an empty layer."""
    values, maps = request.values, id_maps(request.values)
    with request.open_store(read_only=False) as store:
        created = store.layers.create(
            id=values.text("id") or None,
            parent=_optional(request),
            names=values.items("name"),
            writable=not values.on("readonly"),
            mount_label=values.text("label"),
            **maps,
        )
    return _show(request, "layer", created)


def filled_layer(request: Request) -> int:
    """Make a layer from an archive; when that fails there is no layer."""
    values, maps = request.values, id_maps(request.values)
    with (
        source(values) as file,
        Progress(request.output, "importing layer").reading(file) as archive,
        request.open_store(read_only=False) as store,
    ):
        created = store.layers.put(
            archive,
            id=values.text("id") or None,
            parent=_optional(request),
            names=values.items("name"),
            writable=not values.on("readonly"),
            mount_label=values.text("label"),
            **maps,
        )
    return _show(request, "layer", created)


def image(request: Request) -> int:
    """Make an image, with or without a layer."""
    values = request.values
    metadata = metadata_of(values)
    with request.open_store(read_only=False) as store:
        created = store.images.create(
            id=values.text("id") or None,
            names=values.items("name"),
            layer=_optional(request),
            metadata=metadata,
            digest=values.text("digest"),
        )
    return _show(request, "image", created)


def container(request: Request) -> int:
    """Make a container, from an image or from nothing."""
    values, maps = request.values, id_maps(request.values)
    metadata = metadata_of(values)
    with request.open_store(read_only=False) as store:
        created = store.containers.create(
            id=values.text("id") or None,
            names=values.items("name"),
            image=_optional(request),
            metadata=metadata,
            volatile=values.on("volatile"),
            **maps,
        )
    return _show(request, "container", created)


def _optional(request: Request) -> str | None:
    """The only argument; None if there is none or an empty one."""
    return request.line.arguments[0] or None if request.line.arguments else None


def _show(request: Request, kind: str, created: kinds.Record) -> int:
    if request.json:
        request.output.encoded(kinds.encode(kind, [created])[1:-1])
    else:
        request.output.lines([created.id, *(f"\t{name}" for name in created.names)])
    return 0
