"""Names as components of a path: percent-encoding, image references, short names (pure).

Used by: every module of fusefs.nodes that shows or takes a name.
Knows nothing of: records, nodes. Text is str with surrogateescape, components are bytes.
"""

import re
from collections.abc import Collection, Sequence
from typing import Final

LONGEST: Final = 255
"""Bytes of the longest component that is listed."""

_SPECIAL: Final = re.compile(rb"[\x00-\x1f\x7f/%]")
_ESCAPE: Final = re.compile(rb"%([0-9A-Fa-f]{2})")
_SPECIAL_IN_LINE: Final = re.compile(rb"[\x00-\x1f\x7f%]")

_REGISTRY: Final = re.compile(
    r"(?:localhost|(?=[^/]*[.:])(?:[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?"
    r"(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)*|\[[0-9a-fA-F:]+\])(?::[0-9]+)?)",
    re.ASCII,
)
_PATH_PART: Final = re.compile(r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*", re.ASCII)
_LAST_PART: Final = re.compile(
    r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
    r"(?P<version>(?::\w[\w.-]{0,127})?(?:@[a-z0-9]+(?:[.+_-][a-z0-9]+)*:[0-9a-fA-F]{32,})?)",
    re.ASCII,
)
_DEFAULT_REGISTRY: Final = "docker.io"
_DEFAULT_PATH: Final = "library"
_LOCAL_REGISTRY: Final = "localhost"


def encode(name: str, *, reserved: Collection[bytes] = ()) -> bytes:
    """Return *name* as one component that is none of *reserved* (nor ``.`` or ``..``).

    decode gives the name back, whatever it is. The empty name is ``%``. What is reserved are
    names of ours, which need no encoding.
    """
    component = _SPECIAL.sub(_escape, name.encode("utf-8", "surrogateescape"))
    if component in (b".", b"..") or component in reserved:
        return b"%%%02X" % component[0] + component[1:]
    return component or b"%"


def decode(component: bytes) -> str:
    """Return the name that *component* stands for; a ``%`` without two digits is itself."""
    if component == b"%":
        return ""
    return _ESCAPE.sub(_unescape, component).decode("utf-8", "surrogateescape")


def encode_line(name: str) -> bytes:
    """Return *name* as one line of a text file, newline included; a slash stays as it is."""
    return _SPECIAL_IN_LINE.sub(_escape, name.encode("utf-8", "surrogateescape")) + b"\n"


def decode_lines(text: bytes) -> tuple[str, ...]:
    """Return the names in a text file, one a line; empty lines and repetitions do not count."""
    lines = (decode(line.strip(b" \t\r")) for line in text.split(b"\n") if line.strip(b" \t\r"))
    return tuple(dict.fromkeys(lines))


def reference_parts(name: str) -> tuple[str, ...] | None:
    """Split a full image reference, ``registry/path/name:tag`` or ``…@digest``, at its slashes.

    None for anything else: a name without registry, or without tag and digest, is no full
    reference.
    """
    parts = tuple(name.split("/"))
    if len(parts) < 2 or not _REGISTRY.fullmatch(parts[0]):
        return None
    if not all(_PATH_PART.fullmatch(part) for part in parts[1:-1]):
        return None
    last = _LAST_PART.fullmatch(parts[-1])
    return parts if last and last["version"] else None


def is_directory_of_references(path: Sequence[str]) -> bool:
    """Whether full references can begin with these components."""
    if not path or not _REGISTRY.fullmatch(path[0]):
        return False
    return all(_PATH_PART.fullmatch(part) for part in path[1:])


def full_references(short: str) -> Sequence[str]:
    """Return the full references that a short name may mean, in order.

    Docker's registry first, then localhost; ``latest`` where there is neither tag nor digest.
    """
    first, slash, _ = short.partition("/")
    last = _LAST_PART.fullmatch(short.rpartition("/")[2])
    if last is None:
        return ()
    versioned = short if last["version"] else f"{short}:latest"
    if slash and _REGISTRY.fullmatch(first):
        candidates = [versioned]
        if first == _DEFAULT_REGISTRY and versioned.count("/") == 1:
            candidates.append(f"{first}/{_DEFAULT_PATH}/{versioned.partition('/')[2]}")
    else:
        path = versioned if slash else f"{_DEFAULT_PATH}/{versioned}"
        candidates = [f"{_DEFAULT_REGISTRY}/{path}", f"{_LOCAL_REGISTRY}/{versioned}"]
    return [reference for reference in candidates if reference_parts(reference)]


def _unescape(found: re.Match[bytes]) -> bytes:
    return bytes((int(found[1], 16),))


def _escape(found: re.Match[bytes]) -> bytes:
    return b"%%%02X" % found[0][0]
