"""ID maps as text: ``uid CONTAINER HOST SIZE`` a line, and ``gid`` likewise (pure).

Used by: the ``idmap`` file of containers, bound or pending. No lines: no mapping.
"""

from collections.abc import Iterator, Sequence
from itertools import chain

from backend.errors import InvalidValueError
from drivers.idmap.maps import IDMap, parse_range


def as_text(uid_map: Sequence[IDMap], gid_map: Sequence[IDMap]) -> bytes:
    """All ranges, users first."""
    return "".join(chain(_lines("uid", uid_map), _lines("gid", gid_map))).encode()


def from_text(text: bytes) -> tuple[tuple[IDMap, ...], tuple[IDMap, ...]]:
    """Ranges of users and of groups. Raises InvalidValueError."""
    ranges: dict[str, list[IDMap]] = {"uid": [], "gid": []}
    for line in text.decode("utf-8", "replace").splitlines():
        words = line.split()
        if not words:
            continue
        entry = parse_range(words[1:])
        if entry is None or words[0] not in ranges:
            raise _unreadable(line)
        ranges[words[0]].append(entry)
    return tuple(ranges["uid"]), tuple(ranges["gid"])


def _lines(kind: str, ranges: Sequence[IDMap]) -> Iterator[str]:
    for entry in ranges:
        yield f"{kind} {entry.container_id} {entry.host_id} {entry.size}\n"


def _unreadable(line: str) -> InvalidValueError:
    remedy = "write lines like: uid 0 100000 65536"
    return InvalidValueError("ID map", line, "it is no range of IDs", remedy=remedy)
