"""Making a layer: all of it first, then its record.

Used by: backend.api.{staging,putting}, whoever makes a layer for a container or a mapped
copy. Knows nothing of: archives. Crash table: backend/LOCKING.md.
"""

import os
from collections.abc import Callable, Iterable

from backend.api.idmaps import maps_of
from backend.api.removal import remove_layer, take_away
from backend.api.workshop import Workshop, component
from backend.codec import gotime
from backend.errors import DuplicateIDError
from backend.files import bigdata
from backend.model.records import Layer
from backend.stores.transaction import WriteTx
from drivers.ids import LayerID
from drivers.linux.atomicfile import NotFlushedError
from drivers.protocol import NewLayer

Fill = Callable[[Layer], Layer]
"""Makes a layer's directories and files; returns the record to be, with what it learned."""


def make_layer(
    shop: Workshop,
    tx: WriteTx,
    wanted: Layer,
    *,
    writable: bool,
    volatile: bool = False,
    big_data: Iterable[tuple[str, bytes]] = (),
    template: Layer | None = None,
) -> Layer:
    """Make a layer without content of its own, or one that shows what *template* shows.

    *wanted* has the ID maps to be recorded; files below that belong to other IDs are given to
    theirs. Whatever fails in between, the layer is removed again.
    """
    if template is not None:
        wanted = _like(template, wanted)

    def fill(layer: Layer) -> Layer:
        below = shop.all_layers(tx).get(layer.parent) if layer.parent else None
        owned = make_directories(shop, layer, below, writable=writable, template=template)
        if template is not None:
            _copy_tar_split(shop, template, layer)
        if not volatile and (owned or _has_files(shop, layer)):
            flush(shop, layer)
        return layer

    return record_layer(
        shop, tx, wanted, fill, writable=writable, volatile=volatile, big_data=big_data
    )


def record_layer(
    shop: Workshop,
    tx: WriteTx,
    wanted: Layer,
    fill: Fill,
    *,
    writable: bool,
    volatile: bool = False,
    big_data: Iterable[tuple[str, bytes]] = (),
) -> Layer:
    """Let *fill* make the layer *wanted*, and record it.

    Directories and files of that ID without a record are nobody's: they are erased first, so
    that the layer does not take them over. Whatever fails, the layer is removed again.
    """
    component("layer ID", wanted.id)
    check_new(tx, wanted.id)
    layer = wanted._replace(
        created=gotime.now(),
        location=shop.stores.layers.location(writable=writable, volatile=volatile),
    )
    shop.stores.unsettled.add((layer.id,))
    try:
        take_away(shop, tx, layer.id)
        layer = fill(_with_items(shop, layer, big_data))
        tx.layers.put(layer)
        tx.layers.save()
    except BaseException as failure:
        _withdraw(shop, tx, layer, failure)
        raise
    shop.stores.unsettled.clear((layer.id,))
    return layer


def _withdraw(shop: Workshop, tx: WriteTx, layer: Layer, failure: BaseException) -> None:
    is_put = tx.layers.get(layer.id) is not None
    if is_put and isinstance(failure, NotFlushedError):  # the record is in the file
        remove_layer(shop, tx, layer)
        return
    if is_put:
        tx.layers.drop(layer.id)
    take_away(shop, tx, layer.id)
    shop.stores.unsettled.clear((layer.id,))


def check_new(tx: WriteTx, identifier: LayerID) -> None:
    """Raise DuplicateIDError if a layer has this ID."""
    if tx.layers.get(identifier) is not None:
        raise DuplicateIDError("layer", identifier)


def make_directories(
    shop: Workshop,
    layer: Layer,
    below: Layer | None,
    *,
    writable: bool,
    template: Layer | None = None,
) -> bool:
    """Let the driver make *layer*, whose files belong to the IDs that its record says.

    Returns whether files of *below* or *template* had to be given to others for that.
    """
    driver = shop.open_driver()
    new = as_new(layer, writable=writable)
    if template is None:
        driver.create(new)
    else:
        driver.create_from_template(new, template.id)
    source = template or below
    if source is None or maps_of(source) == maps_of(layer):
        return False
    driver.remap(layer.id, maps_of(source), maps_of(layer))
    return True


def as_new(layer: Layer, *, writable: bool) -> NewLayer:
    """What a driver needs to know of *layer*."""
    return NewLayer(
        id=layer.id,
        parent=layer.parent,
        writable=writable,
        mount_label=layer.mount_label,
        uid_map=layer.uid_map,
        gid_map=layer.gid_map,
    )


def flush(shop: Workshop, layer: Layer) -> None:
    """Make the files of *layer* durable, unless the store is set to do without."""
    if shop.options.sync == "filesystem":
        from backend.files.flushing import flush_filesystems

        home = os.path.dirname(shop.open_driver().diff_directory(layer.id))
        flush_filesystems(shop.paths.layers, home)


def _has_files(shop: Workshop, layer: Layer) -> bool:
    """Whether the driver copied files; directories of an empty layer it has flushed itself."""
    with os.scandir(shop.open_driver().diff_directory(layer.id)) as entries:
        return next(entries, None) is not None


def _like(template: Layer, wanted: Layer) -> Layer:
    """*wanted* with what the record of *template* says of the content."""
    return wanted._replace(
        metadata=wanted.metadata or template.metadata,
        compressed_diff_digest=template.compressed_diff_digest,
        compressed_size=template.compressed_size,
        diff_digest=template.diff_digest,
        diff_size=template.diff_size,
        toc_digest=template.toc_digest,
        compression=template.compression,
        uidset=template.uidset,
        gidset=template.gidset,
    )


def _copy_tar_split(shop: Workshop, template: Layer, layer: Layer) -> None:
    source = shop.open_tar_split(template)
    if source is None:
        return
    import shutil  # nobody who makes an empty layer needs it

    from backend.files.stagedfile import StagedFile

    with source, StagedFile(shop.trash_root) as copy:
        shutil.copyfileobj(source, copy.file)
        copy.seal()
        copy.place(shop.tar_split(layer))


def _with_items(shop: Workshop, layer: Layer, items: Iterable[tuple[str, bytes]]) -> Layer:
    keys = []
    for key, data in items:
        bigdata.write(os.path.join(shop.paths.layers, layer.id), key, data)
        keys.append(key)
    return layer._replace(big_data_names=tuple(dict.fromkeys(keys))) if keys else layer
