"""ID maps as people give them: as text, or by the name of somebody in /etc/subuid and /etc/subgid.

Used by: backend.config, backend.api.userns, the command line. Knows nothing of: containers.
Source: containers/storage pkg/idtools (ParseIDMap, NewIDMappings).
"""

import pwd
from collections.abc import Iterable
from typing import Final

from drivers.errors import IDMapError
from drivers.idmap.maps import IDMap, is_number, parse_range
from drivers.idmap.subordinate import ranges_of

_NO_USER: Final = -1


def parse_maps(texts: Iterable[str], what: str) -> tuple[IDMap, ...]:
    """Return the ranges in ``CONTAINER:HOST:SIZE[:CONTAINER:HOST:SIZE...]`` texts; "" has none.

    *what* is the flag or key that they were given with. Raises IDMapError.
    """
    return tuple(entry for text in texts if text for entry in _parsed(text, what))


def sub_ids(
    user: str, group: str = "", *, directory: str = "/etc"
) -> tuple[tuple[IDMap, ...], tuple[IDMap, ...]]:
    """Map container IDs from 0 on to the subordinate IDs of *user* and of *group* (else *user*).

    Both are names of ``subuid`` and ``subgid``; "ALL" is everybody. Raises IDMapError for one
    without any.
    """
    return _from_file(directory, "subuid", user), _from_file(directory, "subgid", group or user)


def _parsed(text: str, what: str) -> list[IDMap]:
    words = text.split(":")
    entries = (parse_range(words[at : at + 3]) for at in range(0, len(words), 3))
    found = [entry for entry in entries if entry is not None]
    if len(found) * 3 != len(words):
        raise _unreadable(what, text)
    return found


def _unreadable(what: str, text: str) -> IDMapError:
    remedy = "write it like 0:100000:65536: the ID inside, the ID outside, how many"
    return IDMapError(f"{what} {text!r} is no map of IDs", remedy=remedy)


def _from_file(directory: str, name: str, owner: str) -> tuple[IDMap, ...]:
    path = f"{directory}/{name}"
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            text = file.read()
    except FileNotFoundError:
        text = ""
    found = ranges_of(text, _number_of(owner), owner)
    if not found:
        raise IDMapError(
            f"{path} has no range for {owner!r}",
            remedy=f"add a line like {owner}:100000:65536 to {path}",
        )
    return tuple(entry._replace(container_id=entry.container_id - 1) for entry in found)


def _number_of(owner: str) -> int:
    try:
        return pwd.getpwnam(owner).pw_uid
    except (KeyError, ValueError):
        return int(owner) if is_number(owner) else _NO_USER
