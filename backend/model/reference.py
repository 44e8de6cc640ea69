"""Image names as docker and podman write them: ``registry/path:tag`` (pure).

Used by: backend.api.{importing,exporting}.
Source of the grammar: distribution's reference package (domain, path, tag, digest).
"""

from __future__ import annotations

import re
from typing import Final

from backend.errors import InvalidValueError

DOCKER: Final = "docker.io"
LOCAL: Final = "localhost"

_LONGEST: Final = 255
_COMPONENT: Final = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_LABEL: Final = r"(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])"
_DOMAIN: Final = rf"(?:{_LABEL}(?:\.{_LABEL})*|\[[0-9a-fA-F:]+\])(?::[0-9]+)?"
_REFERENCE: Final = re.compile(
    rf"(?:(?P<domain>{_DOMAIN})/)?(?P<path>{_COMPONENT}(?:/{_COMPONENT})*)"
    r"(?::(?P<tag>\w[\w.-]{0,127}))?(?P<digest>@[a-z0-9]+:[0-9a-f]{32,128})?",
    re.ASCII,
)


def full_name(name: str, *, registry: str) -> str:
    """*name* with a registry and a tag, as stores keep it.

    *registry* is for a name without one: :data:`DOCKER` as docker archives mean it, :data:`LOCAL`
    as podman names what comes from nowhere. Raises InvalidValueError.
    """
    if len(name) > _LONGEST:
        raise InvalidValueError("image name", name[:40] + "…", "it is longer than 255 characters")
    domain, path = _split(name)
    if not domain:
        domain = registry
        if registry == DOCKER and "/" not in path:
            path = f"library/{path}"
    found = _REFERENCE.fullmatch(f"{domain}/{path}")
    if found is None:
        raise InvalidValueError(
            "image name", name, "it is not REGISTRY/PATH:TAG", remedy="give one with --name"
        )
    tail = f":{found['tag']}" if found["tag"] else ""
    if found["digest"]:
        tail += found["digest"]
    return f"{found['domain']}/{found['path']}{tail or ':latest'}"


def without_digest(name: str) -> str:
    """*name* as an archive may carry it: a digest of another manifest would be a lie there."""
    return name.partition("@")[0]


def _split(name: str) -> tuple[str, str]:
    """A first component is a registry if it could not be part of a path."""
    first, slash, rest = name.partition("/")
    if slash and (first == LOCAL or "." in first or ":" in first or first != first.lower()):
        return first, rest
    return "", name
