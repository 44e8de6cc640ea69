"""Each file of a layer beside what its archive said of it.

Used by: backend.api.check. Knows nothing of: digests, records' references.
"""

import os
from collections import Counter
from collections.abc import Iterator
from typing import Final

from backend.api.faults import fault_of, remedy_for
from backend.api.workshop import Workshop
from backend.errors import DamagedError
from backend.model.findings import NOTES, Fault, Finding
from backend.model.records import Layer
from backend.model.snapshot import LayerTable
from drivers.archive.compare import Aspect, Difference, View, compare
from drivers.archive.expected import Expected, Stacked, of_layer
from drivers.errors import StorageError
from drivers.linux.presence import is_there
from drivers.protocol import Whiteouts

_FAULTS: Final = {
    Aspect.CONTENT: Fault.LAYER_CONTENT,
    Aspect.ATTRIBUTES: Fault.LAYER_ATTRIBUTES,
    Aspect.TIME: Fault.DIRECTORY_TIMES,
    Aspect.UNREADABLE: Fault.UNREADABLE,
}
_MOST_SHOWN: Final = 100


def findings(shop: Workshop, layers: LayerTable, layer: Layer) -> Iterator[Finding]:
    """What differs, at most a hundred findings of a kind; the last one counts the rest."""
    driver = shop.open_driver()
    directory = driver.diff_directory(layer.id)
    counts: Counter[Aspect] = Counter()
    try:
        reason = _cannot_compare(shop, layers, layer)
        if reason:
            yield _finding(layer, Fault.UNVERIFIABLE, directory, reason)
            return
        for difference in _differences(shop, layers, layer, directory):
            counts[difference.aspect] += 1
            if counts[difference.aspect] <= _MOST_SHOWN:
                path = os.path.join(directory, os.fsdecode(difference.path))
                where = "/" + os.fsdecode(difference.path)
                fault = _FAULTS[difference.aspect]
                yield _finding(layer, fault, path, f"{where} {difference.how}")
    except (StorageError, OSError) as error:
        fault = fault_of(error, Fault.LAYER_CONTENT)
        yield _finding(layer, fault, directory, str(error))
    for aspect, count in counts.items():
        if count > _MOST_SHOWN:
            reason = f"and {count - _MOST_SHOWN} more"
            yield _finding(layer, _FAULTS[aspect], directory, reason)


def _cannot_compare(shop: Workshop, layers: LayerTable, layer: Layer) -> str:
    """Why the layer's directory does not show what its archives say; "" if it does."""
    whiteouts = shop.open_driver().whiteouts
    if whiteouts is Whiteouts.KEEP:
        return "a mount program made its files, in a form of its own"
    if whiteouts is Whiteouts.OVERLAY and (layer.uid_map or layer.gid_map):
        return "its files were given other owners, in directories of their own"
    below = layers.chain(layer.id) if whiteouts is Whiteouts.REMOVE else (layer,)
    for one in below:
        if not is_there(shop.tar_split(one)):
            return f"the archive of layer {one.id[:12]} was not kept"
    return ""


def _differences(
    shop: Workshop, layers: LayerTable, layer: Layer, directory: str
) -> Iterator[Difference]:
    whiteouts = shop.open_driver().whiteouts
    if whiteouts is Whiteouts.REMOVE:
        stacked = Stacked()
        for one in reversed(layers.chain(layer.id)):
            stacked.add(_expected(shop, one))
        expected = stacked.expected
    else:
        expected = _expected(shop, layer)
    view = View(whiteouts, layer.uid_map, layer.gid_map)
    root = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        yield from compare(expected, root, view)
    finally:
        os.close(root)


def _expected(shop: Workshop, layer: Layer) -> Expected:
    tar_split = shop.open_tar_split(layer)
    if tar_split is None:
        raise DamagedError(f"layer {layer.id[:12]}", shop.tar_split(layer), "is missing")
    with tar_split:
        whole_tree = shop.open_driver().whiteouts is Whiteouts.REMOVE
        return of_layer(tar_split, dot_is_entry=whole_tree)


def _finding(layer: Layer, fault: Fault, path: str, reason: str) -> Finding:
    remedy = "" if fault in NOTES else remedy_for(fault)
    return Finding("layer", layer.id, fault, path, reason, remedy, read_only=layer.read_only)
