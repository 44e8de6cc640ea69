"""``storagefs containers``.

Used by: backend.cli.command. Knows nothing of: files.
"""

from collections.abc import Iterator, Sequence
from typing import Final

from backend.cli.output import human_time, short
from backend.cli.request import Request
from backend.model.records import Container
from backend.model.snapshot import Snapshot

_HEADER: Final = ("CONTAINER", "CREATED", "MOUNTS", "NAME", "IMAGE")


def run(request: Request) -> int:
    """List all containers."""
    snapshot = request.snapshot()
    output = request.output
    if request.json:
        from backend.codec.recordfiles import CONTAINERS

        output.raw(CONTAINERS.encode(snapshot.containers.records))
    elif output.terminal:
        output.table(_HEADER, _rows(snapshot))
    else:
        output.lines(_plain(snapshot.containers.records))
    return 0


def _rows(snapshot: Snapshot) -> Iterator[Sequence[str]]:
    for container in snapshot.containers:
        mount = snapshot.mounts.get(container.layer)
        image = snapshot.images.get(container.image)
        yield (
            short(container.id),
            human_time(container.created),
            str(mount.count if mount else 0),
            ", ".join(container.names) or "-",
            image.names[0] if image and image.names else short(container.image) or "-",
        )


def _plain(containers: Sequence[Container]) -> Iterator[str]:
    for container in containers:
        yield container.id
        yield from (f"\tname: {name}" for name in container.names)
        yield from (f"\tdata: {key}" for key in container.big_data_names)
