"""How a container comes to be: items, layer, record; only the record makes it a container.

Used by: backend.api.containers. Knows nothing of: which IDs a user namespace gets.
Durable steps and what a crash between them leaves: backend/LOCKING.md.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, NamedTuple

from backend.api import lookup
from backend.api.attached import withdrawn_on_failure
from backend.api.idmaps import Maps, check_maps, maps_of, recorded
from backend.api.items import with_item
from backend.api.labelling import labelled
from backend.api.making import make_layer, record_layer
from backend.api.mapped import WantedOwners, top_layer
from backend.api.removal import remove_layer
from backend.api.workshop import Workshop
from backend.errors import DuplicateIDError
from backend.files import bigdata
from backend.model.records import Container, Image, Layer
from backend.stores.transaction import Kind, WriteTx
from drivers.ids import LayerID
from drivers.linux.atomicfile import NotFlushedError
from drivers.protocol import Whiteouts

if TYPE_CHECKING:
    from backend.api.precopied import Copied
    from backend.api.userns import AutoUserNs


class Extras(NamedTuple):
    """What is asked of a new container beside its record.

    Data items, keys and contents, go to ``directory``. ``auto_userns`` chooses ID maps instead of
    those that were asked for. ``label_options`` are those of backend.api.labelling. ``limit`` is
    called with the new layer.
    """

    directory: str
    items: tuple[tuple[str, bytes], ...] = ()
    auto_userns: "AutoUserNs | None" = None
    label_options: tuple[str, ...] = ()
    limit: Callable[[LayerID], None] | None = None


def make_container(
    shop: Workshop,
    wanted: Container,
    image: str | None,
    asked: WantedOwners,
    extras: Extras,
) -> Container:
    """Check everything against the records as they are now, then make it."""
    check_maps(asked.maps)
    auto_userns = extras.auto_userns
    locks = [Kind.LAYERS, Kind.IMAGES, Kind.CONTAINERS]
    if auto_userns is not None or asked.maps != Maps():
        locks.append(Kind.USERNS)
    given = image if auto_userns is None else None
    with _precopied(shop, given, asked, wanted) as copy, shop.writing(*locks) as tx:
        source = lookup.image(shop.all_images(tx), image) if image else None
        if tx.containers.get(wanted.id) is not None:
            raise DuplicateIDError("container", wanted.id)
        names = tx.containers.claim_names(wanted.names)
        wanted = labelled(shop, tx, wanted, extras.label_options)
        if auto_userns is not None:
            asked = asked._replace(maps=_chosen_maps(shop, tx, auto_userns, source))
        wanted = wanted._replace(
            names=names,
            image=source.id if source else "",
            uid_map=asked.maps.uid,
            gid_map=asked.maps.gid,
        )
        below = top_layer(shop, tx, source, asked) if source and source.layer else None
        maps = recorded(shop, _wanted_owners(shop, asked, source, below))
        layer = Layer(
            id=wanted.layer,
            parent=below.id if below else None,
            mount_label=str(wanted.flags["MountLabel"]),
            uid_map=maps.uid,
            gid_map=maps.gid,
        )
        usable = copy if copy is not None and copy.serves(layer, below) else None
        return _make(shop, tx, wanted, layer, extras, copy=usable)


def _precopied(
    shop: Workshop, image: str | None, asked: WantedOwners, wanted: Container
) -> "AbstractContextManager[Copied | None]":
    """The content of the container's layer, where the driver copies whole trees for that."""
    if not image or shop.open_driver().whiteouts is not Whiteouts.REMOVE:
        return nullcontext()
    from backend.api.precopied import precopied

    volatile = wanted.flags.get("Volatile") is True
    return precopied(shop, image, asked, wanted.layer, volatile=volatile)


def _chosen_maps(
    shop: Workshop, tx: WriteTx, auto_userns: "AutoUserNs", image: Image | None
) -> Maps:
    from backend.api.userns import choose_maps

    maps = choose_maps(shop, tx, auto_userns, image)
    check_maps(maps)
    return maps


def _wanted_owners(
    shop: Workshop, asked: WantedOwners, image: Image | None, below: Layer | None
) -> Maps:
    """Maps of the container's own layer: those that were asked for, else what it stands on."""
    if below is not None:
        other = maps_of(below)
    else:
        other = Maps() if image else Maps(shop.options.uid_map, shop.options.gid_map)
    return asked.maps.or_else(other, host_uid=asked.host_uids, host_gid=asked.host_gids)


def _make(
    shop: Workshop,
    tx: WriteTx,
    wanted: Container,
    layer: Layer,
    extras: Extras,
    *,
    copy: "Copied | None",
) -> Container:
    """Items first, then the layer, then the record."""
    volatile = wanted.flags.get("Volatile") is True
    with withdrawn_on_failure(extras.directory, [key for key, _ in extras.items]):
        for key, data in extras.items:
            bigdata.write(extras.directory, key, data)
            wanted = with_item(wanted, key, data)
        if copy is None:
            layer = make_layer(shop, tx, layer, writable=True, volatile=volatile)
        else:
            layer = record_layer(shop, tx, layer, copy.fill, writable=True, volatile=volatile)
        try:
            if extras.limit is not None:
                extras.limit(layer.id)
            tx.containers.put(wanted)
            tx.containers.save()
        except NotFlushedError:  # it is there
            raise
        except BaseException:
            remove_layer(shop, tx, layer)
            raise
    return wanted
