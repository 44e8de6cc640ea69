"""``storagefs import`` and ``export``: images from and to archives.

Used by: backend.cli.command. Knows nothing of: formats.
"""

from typing import TYPE_CHECKING

from backend.cli.kinds import encode
from backend.cli.progress import Progress
from backend.cli.request import Request
from backend.errors import InvalidValueError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from backend.api.importing import Progress as Step
    from backend.model.records import Image


def take_in(request: Request) -> int:
    """Store the images of each archive, and show them; the first archive that fails is the last."""
    paths, names = request.line.arguments, request.values.items("name")
    if names and len(paths) > 1:
        raise InvalidValueError("--name", names[0], "it is for one archive, and there are more")
    progress = Progress(request.output, "importing")

    def tell(step: "Step") -> None:
        progress.show(f"{step.image}: layer {step.layer} of {step.layers}")

    stored: list[Image] = []
    try:
        with progress, request.open_store(read_only=False) as store:
            for path in paths:
                stored += store.import_images(path, names=names, tell=tell)
    finally:
        if stored:
            _show(request, stored)
    return 0


def _show(request: Request, stored: "Sequence[Image]") -> None:
    if request.json:
        request.output.encoded(encode("image", stored))
    else:
        for image in stored:
            request.output.lines([image.id, *(f"\t{name}" for name in image.names)])


def write_out(request: Request) -> int:
    """Write images to one archive."""
    *references, path = request.line.arguments
    if path == "-" and request.output.terminal:
        remedy = "write a file, or pass it on: storagefs export IMAGE - | …"
        raise InvalidValueError("file", path, "an archive is nothing for a terminal", remedy=remedy)
    progress = Progress(request.output, "exporting")

    def tell(layer: str) -> None:
        progress.show(f"layer {layer[:12]}")

    with progress, request.open_store() as store:
        form = request.values.text("format") or "oci-archive"
        store.export_images(references, path, form=form, tell=tell)
    return 0
