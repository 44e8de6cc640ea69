"""A check of the store that tells the truth and touches nothing.

Used by: backend.store (as Store.check). Knows nothing of: repairs.

It runs beside everything else: it takes no lock longer than a look at the records, mounts and
deletes nothing, and drops at its end what concerns objects that changed meanwhile. What only tools
in their ordinary work leave behind is a note, not damage. Compared: containers/storage check.go.
"""

import hashlib
import os
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import cached_property
from typing import Final

from backend.api import checkcontent, orphans
from backend.api.diffs import open_diff
from backend.api.faults import PULL_AGAIN, fault_of, remedy_for
from backend.api.layers import in_use
from backend.api.workshop import Workshop
from backend.codec import gotime
from backend.codec.bigdataname import file_name
from backend.errors import InvalidValueError
from backend.model.findings import Depth, Fault, Finding, Report
from backend.model.records import Container, Image, Layer
from backend.model.snapshot import Snapshot
from drivers.archive.compression import Compression
from drivers.errors import LayerDirectoryError, StorageError, is_unreadable
from drivers.ids import LayerID, is_path_component
from drivers.linux import regularfile
from drivers.linux.presence import is_there

DAY: Final = 86_400.0
_NANOSECONDS: Final = 1e9

Tell = Callable[[str], None]


def check(
    shop: Workshop,
    depth: Depth,
    *,
    unreferenced_age: float = DAY,
    tell: Tell = lambda _: None,
) -> Report:
    """Look at everything; *unreferenced_age* is in seconds, *tell* hears what is looked at."""
    snapshot = shop.fresh()
    found = list(_Check(shop, snapshot, depth, unreferenced_age, tell).run())
    now = shop.fresh()
    checked = {
        "layers": len(snapshot.layers),
        "images": len(snapshot.images),
        "containers": len(snapshot.containers),
    }
    return Report(depth, tuple(f for f in found if _still(f, snapshot, now, shop)), checked)


class _Check:
    """One pass over one snapshot."""

    def __init__(
        self, shop: Workshop, snapshot: Snapshot, depth: Depth, age: float, tell: Tell
    ) -> None:
        self._shop, self._snapshot, self._depth = shop, snapshot, depth
        self._age, self._tell = age, tell
        self._needed = _needed(snapshot)

    def run(self) -> Iterator[Finding]:
        for problem in self._snapshot.problems:
            yield Finding(
                problem.kind, problem.id, Fault.RECORD, problem.path, problem.reason, problem.remedy
            )
        for layer in self._snapshot.layers.by_id.values():
            if any(below.parent == layer.id for below in self._snapshot.layers.chain(layer.id)):
                reason = f"the parents of layer {layer.id[:12]} lead back to it"
                remedy = self._shop.stores.layers.files[0].remedy
                yield Finding("store", "", Fault.RECORD, layer.location, reason, remedy)
            elif not layer.incomplete and is_path_component(layer.id):
                self._tell(f"layer {layer.id[:12]}")
                yield from self._layer(layer)
        for image in self._snapshot.images.by_id.values():
            directory = os.path.join(os.path.dirname(image.location), image.id)
            yield from self._items("image", image, directory)
        for container in self._snapshot.containers.by_id.values():
            directory = os.path.join(self._shop.paths.containers, container.id)
            yield from self._items("container", container, directory)
        yield from self._unaccounted()
        yield from self._mounts()

    def _layer(self, layer: Layer) -> Iterator[Finding]:
        driver = self._shop.open_driver()
        base = os.path.dirname(layer.location) if layer.read_only else self._shop.paths.layers
        directory = os.path.join(base, layer.id)
        for key in layer.big_data_names:
            path = directory
            try:
                path = os.path.join(directory, file_name(key))
                os.stat(path)
            except (InvalidValueError, OSError) as error:
                fault, reason = _no_item(key, error)
                yield self._of_layer(layer, fault, path, reason, remedy_for(fault))
        try:
            damages = driver.inspect(layer.id, layer.parent)
        except (StorageError, OSError) as error:
            if not is_unreadable(error):
                raise
            fault = Fault.UNREADABLE
            yield self._of_layer(layer, fault, driver.home, str(error), remedy_for(fault))
            return
        for damage in damages:
            fault = Fault.LAYER_LINKS if damage.mendable else Fault.LAYER_DIRECTORY
            yield self._of_layer(layer, fault, damage.path, damage.reason, damage.remedy)
        if not damages and self._depth >= Depth.DIGESTS and (layer.diff_digest or layer.toc_digest):
            yield from self._content(layer)
        if not layer.read_only and self._is_unreferenced(layer):
            reason = "no image and no container needs it"
            yield self._of_layer(layer, Fault.LAYER_UNREFERENCED, "", reason, "storagefs repair")

    def _content(self, layer: Layer) -> Iterator[Finding]:
        path = self._shop.tar_split(layer)
        try:
            kept = is_there(path)
        except OSError as error:
            fault = fault_of(error, Fault.UNREADABLE)
            yield self._of_layer(layer, fault, path, str(error), remedy_for(fault))
            return
        if not kept:
            reason = "its archive was not kept, so its content cannot be compared with anything"
            yield self._of_layer(layer, Fault.UNVERIFIABLE, path, reason)
            return
        if self._depth is Depth.FILES:
            yield from checkcontent.findings(self._shop, self._snapshot.layers, layer)
        yield from self._digest(layer)

    def _digest(self, layer: Layer) -> Iterator[Finding]:
        """Put the layer's archive together again, as for a push."""
        path = self._shop.tar_split(layer)
        digest, size = hashlib.sha256(), 0
        try:
            with closing(open_diff(self._shop, layer.id, None, Compression.NONE)) as chunks:
                for chunk in chunks:
                    digest.update(chunk)
                    size += len(chunk)
        except (StorageError, OSError) as error:
            fault = fault_of(error, Fault.LAYER_DIGEST)
            if fault is Fault.LAYER_DIGEST and isinstance(error, LayerDirectoryError):
                # Its own directory is sound: it is one of a layer below, and told there.
                reason = f"a layer below it is damaged: {error}"
                yield self._of_layer(layer, Fault.UNVERIFIABLE, path, reason)
                return
            yield self._of_layer(layer, fault, path, str(error), remedy_for(fault))
            return
        found = f"sha256:{digest.hexdigest()}"
        if layer.diff_digest.startswith("sha256:") and found != layer.diff_digest:
            reason = f"its content has the digest {found}, not {layer.diff_digest}"
            yield self._of_layer(layer, Fault.LAYER_DIGEST, path, reason, PULL_AGAIN)
        elif layer.diff_digest and layer.diff_size not in (-1, size):
            reason = f"its archive has {size} bytes, not {layer.diff_size}"
            yield self._of_layer(layer, Fault.LAYER_DIGEST, path, reason, PULL_AGAIN)

    def _is_unreferenced(self, layer: Layer) -> bool:
        known = self._snapshot
        unread = known.layers.unread or known.images.unread or known.containers.unread
        if layer.id in self._needed or unread or self._orphans.needed:
            return False  # what is not known, or lost, may stand on it
        created = gotime.to_nanoseconds(layer.created)
        return created is None or time.time() - created / _NANOSECONDS > self._age

    def _of_layer(
        self, layer: Layer, fault: Fault, path: str, reason: str, remedy: str = ""
    ) -> Finding:
        return Finding("layer", layer.id, fault, path, reason, remedy, read_only=layer.read_only)

    def _items(self, kind: str, record: Image | Container, directory: str) -> Iterator[Finding]:
        if not is_path_component(record.id):
            return
        remedy = f"delete the {kind}" + (" and pull it again" if kind == "image" else "")
        for key in record.big_data_names:
            found = self._item(record, key, directory)
            if found is not None:
                path, fault, reason = found
                yield Finding(
                    kind,
                    record.id,
                    fault,
                    path,
                    reason,
                    remedy_for(fault, remedy),
                    read_only=record.read_only,
                )

    def _item(
        self, record: Image | Container, key: str, directory: str
    ) -> tuple[str, Fault, str] | None:
        path = directory
        try:
            path = os.path.join(directory, file_name(key))
            found = self._compared(record, key, path)
        except (InvalidValueError, OSError) as error:
            found = _no_item(key, error)
        return None if found is None else (path, *found)

    def _compared(self, record: Image | Container, key: str, path: str) -> tuple[Fault, str] | None:
        size = os.stat(path).st_size
        wanted = record.big_data_sizes.get(key)
        if wanted is not None and size != wanted:
            return Fault.DATA_SIZE, f"data item {key!r} has {size} bytes, not {wanted}"
        recorded = record.big_data_digests.get(key, "")
        if self._depth >= Depth.DIGESTS and recorded.startswith("sha256:"):
            found = _digest_of(path)
            # The digest of a manifest need not be that of its bytes: a signed one's is not.
            if found != recorded and not key.startswith("manifest"):
                return Fault.DATA_DIGEST, f"data item {key!r} has the digest {found}"
        return None

    @cached_property
    def _orphans(self) -> orphans.Orphans:
        now = self._snapshot
        return orphans.find(self._shop, now.layers, now.images, now.containers)

    def _unaccounted(self) -> Iterator[Finding]:
        if self._snapshot.layers.unread:
            return  # a record may be where nobody could read it
        shop = self._shop
        reason = "the driver has a directory for it, and there is no record"
        fault, path, remedy = Fault.LAYER_UNACCOUNTED, shop.open_driver().home, "storagefs repair"
        if self._orphans.needed:
            reason = f"{reason}; {orphans.REASON}"
            fault, path, remedy = Fault.RECORD, orphans.record_file(shop), orphans.REMEDY
        for layer in self._orphans.layers:
            yield Finding("layer", layer, fault, path, reason, remedy)

    def _mounts(self) -> Iterator[Finding]:
        for mount in self._snapshot.mounts.values():
            if mount.count > 0 and not in_use(self._shop, mount.id, mount.path):
                reason = f"recorded as mounted {mount.count} times, and is not"
                yield Finding(
                    "layer", mount.id, Fault.MOUNT_COUNT, mount.path, reason, "storagefs repair"
                )


def _no_item(key: str, error: InvalidValueError | OSError) -> tuple[Fault, str]:
    if isinstance(error, InvalidValueError):
        return Fault.DATA_MISSING, str(error)
    return fault_of(error, Fault.DATA_MISSING), f"data item {key!r}: {error.strerror}"


def _needed(snapshot: Snapshot) -> frozenset[str]:
    """Layers that an image or a container stands on."""
    tops = [
        *(top for image in snapshot.images for top in (image.layer, *image.mapped_layers)),
        *(container.layer for container in snapshot.containers),
    ]
    needed: set[str] = set()
    for top in tops:
        for layer in snapshot.layers.chain(top or ""):
            if layer.id in needed:
                break
            needed.add(layer.id)
    return frozenset(needed)


def _digest_of(path: str) -> str:
    fd = regularfile.open_fd(path, os.O_RDONLY)
    with os.fdopen(fd, "rb") as file:
        return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"


def _still(finding: Finding, before: Snapshot, now: Snapshot, shop: Workshop) -> bool:
    """Whether what a finding is about is as it was when the check began."""
    if finding.fault is Fault.LAYER_UNACCOUNTED:
        return finding.id not in now.layers and shop.open_driver().exists(LayerID(finding.id))
    if finding.fault is Fault.MOUNT_COUNT:
        return before.mounts.get(LayerID(finding.id)) == now.mounts.get(LayerID(finding.id))
    match finding.kind:
        case "layer":
            return before.layers.get(finding.id) == now.layers.get(finding.id)
        case "image":
            return before.images.get(finding.id) == now.images.get(finding.id)
        case "container":
            return before.containers.get(finding.id) == now.containers.get(finding.id)
        case _:
            return True
