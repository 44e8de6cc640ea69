"""What a command reads and writes beside its lines: files, standard streams, metadata, ID maps.

Used by: verbs of backend.cli. Knows nothing of: stores.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO, Final, TypedDict

from backend.cli.grammar import Values
from backend.cli.request import Request
from backend.errors import InvalidValueError
from drivers.idmap.maps import NO_MAPS, IDMap, MapPair

_MAP_FLAGS: Final = ("uidmap", "gidmap", "subuidmap", "subgidmap")


class MapOptions(TypedDict):
    """Keywords of the store's creating verbs."""

    uid_map: tuple[IDMap, ...]
    gid_map: tuple[IDMap, ...]
    host_uid_mapping: bool
    host_gid_mapping: bool


def id_maps(values: Values) -> MapOptions:
    """The ID maps that the flags give. Raises InvalidValueError and IDMapError."""
    users, groups = _given_maps(values) if any(map(values.text, _MAP_FLAGS)) else NO_MAPS
    return MapOptions(
        uid_map=users,
        gid_map=groups,
        host_uid_mapping=values.on("hostuidmap"),
        host_gid_mapping=values.on("hostgidmap"),
    )


def _given_maps(values: Values) -> MapPair:
    from drivers.idmap import subids

    users = subids.parse_maps([values.text("uidmap")], "--uidmap")
    groups = subids.parse_maps([values.text("gidmap")], "--gidmap")
    for flag, other, given in (("--hostuidmap", "uid", users), ("--hostgidmap", "gid", groups)):
        if values.on(flag.lstrip("-")) and given:
            text = values.text(f"{other}map")
            raise InvalidValueError(f"--{other}map", text, f"{flag} was given too")
    user, group = values.text("subuidmap"), values.text("subgidmap")
    return subids.sub_ids(user or group, group or user) if user or group else (users, groups)


@contextmanager
def source(values: Values) -> Iterator[BinaryIO]:
    """The file that --file names, or standard input."""
    path = values.text("file")
    if not path:
        yield sys.stdin.buffer
        return
    with open(path, "rb") as file:
        yield file


@contextmanager
def target(request: Request) -> Iterator[BinaryIO]:
    """The file that --file names, made or emptied, or standard output."""
    path = request.values.text("file")
    if not path:
        yield request.output.out
        return
    with open(path, "wb") as file:
        yield file


def metadata_of(values: Values) -> str:
    """The metadata that flags give; a file beats a text."""
    path = values.text("metadata-file")
    if not path:
        return values.text("metadata")
    with open(path, encoding="utf-8", errors="surrogateescape", newline="") as file:
        return file.read()
