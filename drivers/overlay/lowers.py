"""The texts that tie overlay layers together: link, lower, lower-layers and the l/ links (pure).

Used by: drivers.overlay.{layout,creation,inspection}. Knows nothing of: where they are stored.

link           the layer's short name, 26 letters of base32
l/SHORT        a symbolic link to ../ID/diff
lower          l/SHORT of the parent, then the parent's own lower, joined by colons
lower-layers   the same chain as IDs; newer Go tools prefer it
"""

import os
from collections.abc import Sequence
from typing import Final

from drivers.errors import UnsafeNameError
from drivers.ids import LayerID, is_path_component

_LETTERS: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
_SHORT: Final = 26
RESERVED: Final = frozenset({"l", "staging", "tempdirs"})


def new_short_name() -> str:
    """Return a random short name."""
    return "".join(_LETTERS[byte % len(_LETTERS)] for byte in os.urandom(_SHORT))


def parse_short_name(text: str) -> str:
    """Return the short name in a ``link`` file."""
    name = text.rstrip("\n")
    if len(name) != _SHORT or not set(name) <= set(_LETTERS):
        raise UnsafeNameError("short name", name)
    return name


def parse_lower(text: str) -> tuple[str, ...]:
    """Return the short names in a ``lower`` file, uppermost first."""
    return tuple(_lower_element(element) for element in text.rstrip("\n").split(":"))


def _lower_element(element: str) -> str:
    if not element.startswith("l/"):
        raise UnsafeNameError("lower", element)
    return parse_short_name(element[2:])


def format_lower(names: Sequence[str]) -> str:
    """Return the content of a ``lower`` file."""
    return ":".join(f"l/{name}" for name in names)


def parse_target(target: str) -> LayerID:
    """Return the layer that an ``l/`` link points to."""
    parts = target.split("/")
    if len(parts) != 3 or parts[0] != ".." or parts[2] != "diff":
        raise UnsafeNameError("target of a link", target)
    return checked_id(parts[1])


def target_of(layer: LayerID) -> str:
    """Return what the ``l/`` link of *layer* holds."""
    return f"../{layer}/diff"


def parse_ids(text: str) -> tuple[LayerID, ...]:
    """Return the layers in a ``lower-layers`` file, uppermost first."""
    return tuple(checked_id(part) for part in text.rstrip("\n").split(":"))


def is_layer_name(layer: str) -> bool:
    """Whether *layer* can be the name of a layer's directory in the driver's home."""
    return is_path_component(layer) and layer not in RESERVED


def checked_id(layer: str) -> LayerID:
    """Return *layer*, which must be the name of a layer's directory."""
    if not is_layer_name(layer):
        raise UnsafeNameError("layer ID", layer)
    return LayerID(layer)
