"""The IDs of a container that wants a user namespace of its own but does not say which IDs.

Used by: backend.api.containermaking, with user namespaces and records locked.
Knows nothing of: how layers get their owners. Source: containers/storage userns.go.
"""

from collections.abc import Iterable
from typing import Final, NamedTuple

from backend.api.idmaps import Maps
from backend.api.userfiles import highest_id
from backend.api.workshop import Workshop
from backend.errors import InvalidValueError, NoAvailableIDsError
from backend.model.idsets import IDSet, container_ids, host_ids, id_set, paired
from backend.model.records import Image, Layer
from backend.stores.transaction import WriteTx
from drivers.errors import IDMapError
from drivers.idmap.maps import IDMap
from drivers.idmap.subids import sub_ids

_USER: Final = "containers"
_SMALLEST: Final = 1024
_LARGEST: Final = 65536


class AutoUserNs(NamedTuple):
    """How large the namespace is, and what is in it beside IDs of its own.

    ``size`` 0: as large as the image needs, at least ``initial_size``. ``passwd_file`` and
    ``group_file`` are files of the host that count instead of the image's.
    """

    size: int = 0
    initial_size: int = 0
    passwd_file: str = ""
    group_file: str = ""
    additional_uid_map: tuple[IDMap, ...] = ()
    additional_gid_map: tuple[IDMap, ...] = ()


def choose_maps(shop: Workshop, tx: WriteTx, wanted: AutoUserNs, image: Image | None) -> Maps:
    """Take the lowest subordinate IDs that no container's record has.

    Raises NoAvailableIDsError, and IDMapError where the user has no subordinate IDs at all.
    """
    own_users, own_groups = _available(shop)
    size = _size(shop, tx, wanted, image)
    used = [(container.uid_map, container.gid_map) for container in tx.containers.records]
    users = (entry for uid_map, _ in used for entry in uid_map)
    groups = (entry for _, gid_map in used for entry in gid_map)
    return Maps(
        _chosen("user", size, own_users, users, wanted.additional_uid_map),
        _chosen("group", size, own_groups, groups, wanted.additional_gid_map),
    )


def _available(shop: Workshop) -> tuple[IDSet, IDSet]:
    """The IDs to choose from: as the host sees them, or as the user's own namespace does."""
    options = shop.options
    if options.rootless:
        users, groups = sub_ids(options.rootless_user)
        return _inside(users), _inside(groups)
    try:
        users, groups = sub_ids(options.root_auto_userns_user or _USER)
    except IDMapError as error:
        remedy = f"{error.remedy}, or name another user as root-auto-userns-user in storage.conf"
        raise IDMapError(str(error), remedy=remedy) from None
    return host_ids(users), host_ids(groups)


def _inside(maps: tuple[IDMap, ...]) -> IDSet:
    """In the user's own namespace 0 is the user; the subordinate IDs follow."""
    return id_set([(1, 1 + sum(entry.size for entry in maps))])


def _size(shop: Workshop, tx: WriteTx, wanted: AutoUserNs, image: Image | None) -> int:
    if wanted.size:
        return wanted.size
    smallest = shop.options.auto_userns_min_size or _SMALLEST
    largest = shop.options.auto_userns_max_size or _LARGEST
    size = max(smallest, wanted.initial_size, _needed_by(shop, tx, wanted, image))
    if size > largest:
        raise InvalidValueError(
            "size of the user namespace",
            str(size),
            f"the image needs so many IDs, but at most {largest} are given automatically",
            remedy="ask for this size, or raise auto-userns-max-size in storage.conf",
        )
    return size


def _needed_by(shop: Workshop, tx: WriteTx, wanted: AutoUserNs, image: Image | None) -> int:
    """One more than the highest owner in the image's layers, and ID in its lists of users."""
    if image is None or image.layer is None:
        return 0
    chain = shop.all_layers(tx).chain(image.layer)
    top = chain[0] if chain else None
    named = 0 if top is None else _named_in(shop, wanted, top)
    owners = (owner for layer in chain for owner in (*layer.uidset, *layer.gidset))
    return max(named, max(owners, default=-1) + 1)


def _named_in(shop: Workshop, wanted: AutoUserNs, top: Layer) -> int:
    return 1 + highest_id(
        lambda: shop.open_driver().open_merged(top.id),
        f"image layer {top.id[:12]}",
        passwd_file=wanted.passwd_file,
        group_file=wanted.group_file,
    )


def _chosen(
    kind: str, size: int, own: IDSet, used: Iterable[IDMap], additional: tuple[IDMap, ...]
) -> tuple[IDMap, ...]:
    needed = id_set([(0, size)]).without(container_ids(additional))
    free = own.without(host_ids([*used, *additional]))
    if free.size < needed.size:
        raise NoAvailableIDsError(kind, needed.size, free.size)
    return (*paired(needed, free.lowest(needed.size)), *additional)
