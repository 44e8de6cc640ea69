"""Verbs that create layers, images and containers.

Used by: backend.cli.command. Knows nothing of: how they are made.
"""

from typing import TYPE_CHECKING

from backend.cli import kinds
from backend.cli.inputs import id_maps, metadata_of, source
from backend.cli.request import Request

if TYPE_CHECKING:
    from backend.api.planning import LayerOptions


def layer(request: Request) -> int:
    """Make an empty layer."""
    about, writable = _about_layer(request), not request.values.on("readonly")
    with request.open_store(read_only=False) as store:
        created = store.layers.create(writable=writable, **about)
    return _show(request, "layer", created)


def filled_layer(request: Request) -> int:
    """Make a layer from an archive; when that fails there is no layer."""
    from backend.cli.progress import Progress

    about, writable = _about_layer(request), not request.values.on("readonly")
    with (
        source(request.values) as file,
        Progress(request.output, "importing layer").reading(file) as archive,
        request.open_store(read_only=False) as store,
    ):
        created = store.layers.put(archive, writable=writable, **about)
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


def _about_layer(request: Request) -> "LayerOptions":
    """What the flags of both verbs say, understood before the store is opened."""
    values, maps = request.values, id_maps(request.values)
    return {
        "id": values.text("id") or None,
        "parent": _optional(request),
        "names": values.items("name"),
        "mount_label": values.text("label"),
        "uid_map": maps["uid_map"],
        "gid_map": maps["gid_map"],
        "host_uid_mapping": maps["host_uid_mapping"],
        "host_gid_mapping": maps["host_gid_mapping"],
    }


def _optional(request: Request) -> str | None:
    """The only argument; None if there is none or an empty one."""
    return request.line.arguments[0] or None if request.line.arguments else None


def _show(request: Request, kind: str, created: kinds.Record) -> int:
    if request.json:
        request.output.encoded(kinds.encode(kind, [created])[1:-1])
    else:
        request.output.lines([created.id, *(f"\t{name}" for name in created.names)])
    return 0
