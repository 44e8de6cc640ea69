"""``storagefs images``.

Used by: backend.cli.command. Knows nothing of: files.
"""

from collections.abc import Iterator, Sequence
from typing import Final

from backend.cli.output import human_size, human_time, short
from backend.cli.request import Request
from backend.model.records import Image
from backend.model.snapshot import Snapshot, image_digests

_HEADER: Final = ("IMAGE", "CREATED", "LAYERS", "SIZE", "NAME")


def run(request: Request) -> int:
    """List all images."""
    snapshot = request.snapshot()
    output = request.output
    if request.json:
        from backend.codec.recordfiles import IMAGES

        records = snapshot.images.records
        output.raw(IMAGES.encode(records) if records else b"null")  # as the Go tool has it
    elif request.values.on("quiet"):
        output.lines(image.id for image in snapshot.images)
    elif output.terminal:
        output.table(_HEADER, _rows(snapshot))
    else:
        output.lines(_plain(snapshot.images.records))
    return 0


def _rows(snapshot: Snapshot) -> Iterator[Sequence[str]]:
    """One row a name, so that it can be copied."""
    for image in snapshot.images:
        chain = snapshot.layers.chain(image.layer) if image.layer else ()
        known = all(layer.diff_digest for layer in chain)
        size = human_size(sum(layer.diff_size for layer in chain)) if known else "-"
        for name in image.names or ("-",):
            yield short(image.id), human_time(image.created), str(len(chain)), size, name


def _plain(images: Sequence[Image]) -> Iterator[str]:
    for image in images:
        yield image.id
        yield from (f"\tname: {name}" for name in image.names)
        yield from (f"\tdigest: {digest}" for digest in image_digests(image))
        yield from (f"\tdata: {key}" for key in image.big_data_names)
