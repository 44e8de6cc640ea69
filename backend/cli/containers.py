"""``storagefs containers``.

Used by: backend.cli.command. Knows nothing of: files.
"""

from collections.abc import Iterator, Sequence
from operator import attrgetter
from typing import Final

from backend.cli.listing import Look, show
from backend.cli.output import human_time, short
from backend.cli.request import Request
from backend.model.records import Container
from backend.model.snapshot import Snapshot


def run(request: Request) -> int:
    """List all containers."""
    snapshot = request.snapshot()
    return show(request, _LOOK, snapshot, snapshot.containers.records)


def _rows(snapshot: Snapshot, containers: Sequence[Container]) -> Iterator[Sequence[str]]:
    for container in containers:
        mount = snapshot.mounts.get(container.layer)
        image = snapshot.images.get(container.image)
        yield (
            short(container.id),
            human_time(container.created),
            str(mount.count if mount else 0),
            ", ".join(container.names) or "-",
            image.names[0] if image and image.names else short(container.image) or "-",
        )


def _plain(snapshot: Snapshot, containers: Sequence[Container]) -> Iterator[str]:
    del snapshot
    for container in containers:
        yield container.id
        yield from (f"\tname: {name}" for name in container.names)
        yield from (f"\tdata: {key}" for key in container.big_data_names)


_LOOK: Final = Look(
    kind="container",
    table=attrgetter("containers"),
    header=("CONTAINER", "CREATED", "MOUNTS", "NAME", "IMAGE"),
    rows=_rows,
    plain=_plain,
    empty=b"[]",
)
