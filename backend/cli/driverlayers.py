"""Layers as the driver has them on disk, with or without a record.

Used by: backend.cli.command. Knows nothing of: where they are.
"""

from backend.cli.inputs import id_maps
from backend.cli.request import Request


def run(request: Request) -> int:
    """List them, sorted."""
    with request.open_store() as store:
        found = sorted(store.layers.driver_layers())
    if request.json:
        request.output.json(found)
    else:
        request.output.lines(found)
    return 0


def create(request: Request) -> int:
    """Make one without a record."""
    values, maps = request.values, id_maps(request.values)
    arguments = request.line.arguments
    with request.open_store(read_only=False) as store:
        created = store.layers.create_driver_layer(
            id=values.text("id") or None,
            parent=arguments[0] or None if arguments else None,
            writable=not values.on("readonly"),
            mount_label=values.text("label"),
            uid_map=maps["uid_map"],
            gid_map=maps["gid_map"],
        )
    if request.json:
        request.output.json(created)
    else:
        request.output.lines([created])
    return 0
