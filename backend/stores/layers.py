"""Records of layers.

Used by: backend.stores.{transaction,whole}, backend.api.layers. Knows nothing of: layer
directories, drivers, mounts. Source of the rules: containers/storage layers.go (load,
pickStoreLocation).
"""

from __future__ import annotations

from backend.codec import recordfiles
from backend.files.lockfile import HeldLock
from backend.files.paths import StorePaths
from backend.files.recordfile import RecordFile
from backend.model.records import Layer
from backend.model.snapshot import LayerTable
from backend.stores.base import RecordStore
from backend.stores.named import NamedWriter, drop_repeated, settle_names

RECORDS = "layers.json"
VOLATILE_RECORDS = "volatile-layers.json"
LOCK = "layers.lock"


class LayerWriter(NamedWriter[Layer]):
    """Changes to layers."""

    table_type = LayerTable

    @property
    def table(self) -> LayerTable:
        """The layers with their look-ups, as they are now."""
        table = super().table
        assert isinstance(table, LayerTable)
        return table


class LayerStore(RecordStore[Layer]):
    """Layers of a graph root with its image store, or of an additional store."""

    kind = "layer"

    def location(self, *, writable: bool, volatile: bool) -> str:
        """Path of the file that the record of a new layer belongs to, for life.

        Layers that nobody writes to live in the separate image store, where there is one.
        """
        stable, *separate, fleeting = (file.path for file in self.files)
        if volatile:
            return fleeting
        return stable if writable or not separate else separate[0]

    def settle(self, records: list[Layer]) -> tuple[list[Layer], set[str]]:
        """The first record with an ID counts, the last with a name; incomplete ones stay."""
        first, repeated = drop_repeated(records)
        settled, renamed = settle_names(first)
        return settled, repeated | renamed

    def _writer(self, held: HeldLock) -> LayerWriter:
        return LayerWriter(self, held)


def primary(paths: StorePaths, *, writable: bool, lock_seconds: float | None) -> LayerStore:
    """Layers of the graph root: stable, those in the image store, then volatile."""
    separate = [paths.image_store_layers] if paths.image_store else []
    files = [
        *(
            RecordFile(f"{directory}/{RECORDS}", recordfiles.LAYERS)
            for directory in (paths.layers, *separate)
        ),
        RecordFile(
            f"{paths.volatile_layers}/{VOLATILE_RECORDS}", recordfiles.LAYERS, durable=False
        ),
    ]
    return LayerStore(
        f"{paths.layers}/{LOCK}",
        files,
        writable=writable,
        lock_seconds=lock_seconds,
        partner_lock=f"{separate[0]}/{LOCK}" if separate else "",
    )


def additional(directory: str, *, lock_seconds: float | None) -> LayerStore:
    """Layers of an additional store, from its ``DRIVER-layers`` *directory*."""
    files = [
        RecordFile(f"{directory}/{name}", recordfiles.LAYERS)
        for name in (RECORDS, VOLATILE_RECORDS)
    ]
    return LayerStore(
        f"{directory}/{LOCK}", files, writable=False, lock_seconds=lock_seconds, additional=True
    )
