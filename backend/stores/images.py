"""Records of images.

Used by: backend.stores.{transaction,whole}, backend.api.images.
Knows nothing of: layers, data items on disk.
Source of the rules: containers/storage images.go (load, recomputeDigests).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from backend.codec import recordfiles
from backend.files.lockfile import HeldLock
from backend.files.paths import StorePaths
from backend.files.recordfile import RecordFile
from backend.model.digest import is_valid
from backend.model.records import Image
from backend.model.snapshot import ImageTable, Problem, image_digests
from backend.stores.base import RecordStore
from backend.stores.named import NamedWriter, drop_repeated, settle_names
from drivers.ids import LayerID

RECORDS = "images.json"
LOCK = "images.lock"


class ImageWriter(NamedWriter[Image]):
    """Changes to images."""

    table_type = ImageTable

    @property
    def table(self) -> ImageTable:
        """The images with their look-ups, as they are now."""
        table = super().table
        assert isinstance(table, ImageTable)
        return table

    def put(self, record: Image) -> None:
        """As in Writer; the image's own digest is filled in."""
        super().put(with_digest(record))

    def rename(self, record: Image, names: Iterable[str]) -> Image:
        """As in NamedWriter; the new names lead the history, the last of them first."""
        renamed = super().rename(record, names)
        history = dict.fromkeys((*reversed(renamed.names), *renamed.names_history))
        renamed = renamed._replace(names_history=tuple(history))
        self.put(renamed)
        return renamed

    def add_mapped(self, image: str, layer: LayerID) -> None:
        """Note one more copy of the top layer of *image*, with other owners."""
        record = self.table.by_id[image]
        self.put(record._replace(mapped_layers=(*record.mapped_layers, layer)))

    def forget_mapped(self, layer: str) -> None:
        """Take *layer* out of the mapped copies of every image: it is about to go."""
        for user in self.table.with_top(layer):
            record = self.table.by_id[user]
            kept = tuple(copy for copy in record.mapped_layers if copy != layer)
            if kept != record.mapped_layers:
                self.put(record._replace(mapped_layers=kept))


class ImageStore(RecordStore[Image]):
    """Images of a graph root, of its image store, or of an additional store."""

    kind = "image"

    def settle(self, records: list[Image]) -> tuple[list[Image], set[str]]:
        """The last record with an ID or a name counts."""
        last, repeated = drop_repeated(reversed(records))
        settled, renamed = settle_names(last[::-1])
        return [with_digest(image) for image in settled], repeated | renamed

    def inspect(self, records: Iterable[Image]) -> Iterator[Problem]:
        """An invalid digest makes the whole store unreadable for the Go tools."""
        for image in records:
            for digest in image_digests(image):
                if not is_valid(digest):
                    reason = f"{digest!r} is no digest"
                    remedy = f"remove image {image.id[:12]}"
                    yield Problem("image", image.id, image.location, reason, remedy)

    def _writer(self, held: HeldLock) -> ImageWriter:
        return ImageWriter(self, held)


def with_digest(image: Image) -> Image:
    """An image without a digest of its own takes that of its manifest.

    ``manifest`` before the others, those in order of their keys (Go takes whichever it meets).
    """
    if image.digest or not image.big_data_digests:
        return image
    found = image.big_data_digests
    keys = sorted((key for key in found if key.startswith("manifest")), key=_manifest_first)
    return image._replace(digest=found[keys[0]]) if keys else image


def primary(paths: StorePaths, *, writable: bool, lock_seconds: float | None) -> ImageStore:
    """Images of the store."""
    return _open(paths.images, writable=writable, lock_seconds=lock_seconds)


def in_graph_root(
    paths: StorePaths, *, writable: bool, lock_seconds: float | None
) -> ImageStore | None:
    """Images that the graph root has although images go elsewhere; None where they do not."""
    if not paths.image_store:
        return None
    return _open(paths.graph_images, writable=writable, lock_seconds=lock_seconds)


def additional(directory: str, *, lock_seconds: float | None) -> ImageStore:
    """Images of an additional store, from its ``DRIVER-images`` *directory*."""
    return _open(directory, writable=False, lock_seconds=lock_seconds, additional=True)


def _open(
    directory: str, *, writable: bool, lock_seconds: float | None, additional: bool = False
) -> ImageStore:
    return ImageStore(
        f"{directory}/{LOCK}",
        [RecordFile(f"{directory}/{RECORDS}", recordfiles.IMAGES)],
        writable=writable,
        lock_seconds=lock_seconds,
        additional=additional,
    )


def _manifest_first(key: str) -> tuple[bool, str]:
    return key != "manifest", key
