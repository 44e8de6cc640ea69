"""Digests as text: ``algorithm:hex`` (pure).

Used by: backend.stores.images, backend.codec.imageformat, backend.api, backend.cli.images.
Source of the rule: opencontainers/go-digest.
"""

import re
from functools import cache
from typing import Final

_LENGTHS: Final = {"sha256": 64, "sha384": 96, "sha512": 128}


def is_valid(digest: str) -> bool:
    """Whether this is a digest that the Go tools accept."""
    found = _form().fullmatch(digest)
    return found is not None and len(found[2]) == _LENGTHS[found[1]]


def of(data: bytes) -> str:
    """The canonical digest of *data*."""
    import hashlib  # loads OpenSSL, which listing does not need

    return f"sha256:{hashlib.sha256(data).hexdigest()}"


@cache
def _form() -> re.Pattern[str]:
    return re.compile(r"(sha256|sha384|sha512):([0-9a-f]+)")
