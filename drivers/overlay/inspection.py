"""What is wrong with the small files and links of an overlay layer, and writing them again.

Used by: drivers.overlay.driver. Knows nothing of: content, mounts, records.

The records say which layer stands on which; every text here follows from that and from the short
names, so all of them can be made again as long as a layer's short name is known from its ``link``
file or from the link in ``l/``.
"""

import os
from collections.abc import Iterator

from drivers.errors import LayerDirectoryError, UnsafeNameError, is_shortage, is_unreadable
from drivers.ids import LayerID
from drivers.linux import atomicfile
from drivers.overlay import lowers
from drivers.overlay.layout import MEND, REMEDY, Layout, is_directory, read_link, read_small_file
from drivers.protocol import Damage


def inspect(layout: Layout, layer: LayerID, parent: LayerID | None) -> Iterator[Damage]:
    """Everything that is wrong on disk with *layer*; *layout* must be one that repairs nothing."""
    directory = layout.find(layer)
    if directory is None:
        path = os.path.join(layout.home, layer)
        yield Damage(path, "is missing", REMEDY, mendable=False)
        return
    diff = os.path.join(directory, "diff")
    if not is_directory(diff):
        yield Damage(diff, "is missing or no directory", REMEDY, mendable=False)
    try:
        short = layout.short_name(layer)
    except (LayerDirectoryError, UnsafeNameError) as damage:
        yield Damage(os.path.join(directory, "link"), str(damage), REMEDY, mendable=False)
    else:
        yield from _names(layer, directory, short)
    yield from _lower(layout, layer, directory, parent)


def mend(layout: Layout, layer: LayerID, parent: LayerID | None) -> None:
    """Write again what :func:`inspect` calls mendable; *layout* must be one that repairs."""
    directory = layout.directory(layer)
    short = layout.short_name(layer)
    link = _link_path(directory, short)
    if read_link(link) != lowers.target_of(layer):
        os.makedirs(os.path.dirname(link), 0o755, exist_ok=True)
        if os.path.islink(link):
            os.unlink(link)
        os.symlink(lowers.target_of(layer), link)
        atomicfile.sync_directory(os.path.dirname(link))
    try:
        wanted = _wanted_lower(layout, parent)
    except (LayerDirectoryError, UnsafeNameError):
        return  # the parent's damage
    found = _text(layer, directory, "lower")
    if wanted is not None and wanted != found and not _is_copy(layout, found, wanted):
        atomicfile.replace(os.path.join(directory, "lower"), wanted.encode(), mode=0o644)


def _names(layer: LayerID, directory: str, short: str) -> Iterator[Damage]:
    if _text(layer, directory, "link") != short:
        path = os.path.join(directory, "link")
        yield Damage(path, f"does not say {short}", MEND, mendable=True)
    link = _link_path(directory, short)
    if read_link(link) != lowers.target_of(layer):
        yield Damage(link, f"does not lead to layer {layer[:12]}", MEND, mendable=True)


def _lower(
    layout: Layout, layer: LayerID, directory: str, parent: LayerID | None
) -> Iterator[Damage]:
    path = os.path.join(directory, "lower")
    found = _text(layer, directory, "lower")
    try:
        wanted = _wanted_lower(layout, parent)
    except (LayerDirectoryError, UnsafeNameError):
        return  # the parent's damage, and told there
    if _is_copy(layout, found, wanted):
        return
    if wanted is None:
        if found:
            yield Damage(path, "names layers, and the record no parent", REMEDY, mendable=False)
    elif found is None:
        yield Damage(path, "is missing or cannot be read", MEND, mendable=True)
    elif found != wanted:
        yield Damage(path, "does not name the layers below", MEND, mendable=True)


def _wanted_lower(layout: Layout, parent: LayerID | None) -> str | None:
    if parent is None:
        return None
    return lowers.format_lower((layout.short_name(parent), *layout.lower_names(parent)))


def _is_copy(layout: Layout, found: str | None, wanted: str | None) -> bool:
    """Whether it is the ``lower`` of a layer that another one was the template of.

    Such a layer lies on its template, but its record names the parent of both.
    """
    first, _, rest = (found or "").partition(":")
    template = layout.layer_named(first.removeprefix("l/"))
    if template is None or rest != (wanted or ""):
        return False
    directory = layout.find(template)
    return directory is not None and (_text(template, directory, "lower") or "") == rest


def _text(layer: LayerID, directory: str, name: str) -> str | None:
    try:
        return read_small_file(layer, os.path.join(directory, name)).rstrip("\n")
    except (OSError, LayerDirectoryError) as damage:
        if is_shortage(damage) or is_unreadable(damage):
            raise
        return None


def _link_path(directory: str, short: str) -> str:
    return os.path.join(os.path.dirname(directory), "l", short)
