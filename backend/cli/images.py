"""``storagefs images`` and ``images-by-digest``.

Used by: backend.cli.command. Knows nothing of: files.
"""

from collections.abc import Iterator, Sequence
from operator import attrgetter
from typing import Final

from backend.cli.listing import Look, show
from backend.cli.output import human_size, human_time, short
from backend.cli.request import Request
from backend.model.records import Image
from backend.model.snapshot import Snapshot, image_digests


def run(request: Request) -> int:
    """List all images."""
    snapshot = request.snapshot()
    return show(request, _LOOK, snapshot, snapshot.images.records)


def with_digest(request: Request) -> int:
    """List the images that have a digest; none is no error."""
    from backend.errors import InvalidValueError
    from backend.model import digest as digests

    (wanted,) = request.line.arguments
    if not digests.is_valid(wanted):
        raise InvalidValueError("digest", wanted, "it is not ALGORITHM:HEX")
    snapshot = request.snapshot()
    found = [snapshot.images.by_id[image] for image in snapshot.images.by_digest.get(wanted, ())]
    return show(request, _LOOK._replace(empty=b"[]"), snapshot, found)


def _rows(snapshot: Snapshot, images: Sequence[Image]) -> Iterator[Sequence[str]]:
    """One row a name, so that it can be copied."""
    for image in images:
        chain = snapshot.layers.chain(image.layer) if image.layer else ()
        known = all(layer.diff_digest for layer in chain)
        size = human_size(sum(layer.diff_size for layer in chain)) if known else "-"
        for name in image.names or ("-",):
            yield short(image.id), human_time(image.created), str(len(chain)), size, name


def _plain(snapshot: Snapshot, images: Sequence[Image]) -> Iterator[str]:
    del snapshot
    for image in images:
        yield image.id
        yield from (f"\tname: {name}" for name in image.names)
        yield from (f"\tdigest: {digest}" for digest in image_digests(image))
        yield from (f"\tdata: {key}" for key in image.big_data_names)


_LOOK: Final = Look(
    kind="image",
    table=attrgetter("images"),
    header=("IMAGE", "CREATED", "LAYERS", "SIZE", "NAME"),
    rows=_rows,
    plain=_plain,
    empty=b"null",
)
