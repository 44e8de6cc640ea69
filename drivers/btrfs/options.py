"""The btrfs driver's own options, as a value (pure).

Used by: drivers.btrfs.driver. Knows nothing of: where they were configured.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from drivers.errors import DriverOptionError

_KNOWN: Final = ("min_space", "size")
_SIZE: Final = re.compile(r"([0-9]+)(?:\.([0-9]+))? ?([kmgtp]?)i?b?", re.IGNORECASE | re.ASCII)
_POWERS: Final = "kmgtp"


class BtrfsOptions(NamedTuple):
    """What a configuration may ask of btrfs, in bytes.

    ``size`` is how much a writable layer may hold; 0: there is no limit. ``least`` is the
    smallest limit that may be asked for.
    """

    size: int = 0
    least: int = 0


def parse_options(settings: Sequence[tuple[str, str]]) -> BtrfsOptions:
    """Read (key, value) pairs; the last of several wins.

    A size below ``min_space``, or of nothing, is refused, as the Go tools refuse it;
    ``min_space`` alone limits nothing.
    """
    values = dict(settings)
    _check_known(values, _KNOWN)
    options = BtrfsOptions(least=_size("min_space", values.get("min_space", "0")))
    return options._replace(size=size_of_layer(options, values)) if "size" in values else options


def size_of_layer(options: BtrfsOptions, values: Mapping[str, str]) -> int:
    """Return how much a layer may hold whose *values* have a ``size`` of its own."""
    size = _size("size", values["size"])
    if size < max(options.least, 1):
        reason = f"{size} bytes are less than min_space, {options.least}"
        raise DriverOptionError("btrfs.size", reason, remedy="remove it, or ask for more")
    return size


def size_of_container(options: BtrfsOptions, asked: Mapping[str, str]) -> int:
    """Return how much the layer of a container may hold that asked for it."""
    values = {key.lower(): value for key, value in asked.items()}
    _check_known(values, ("size",))
    return size_of_layer(options, values) if values else options.size


def _check_known(values: Mapping[str, str], known: Sequence[str]) -> None:
    for key in values:
        if key not in known:
            remedy = f"known are {', '.join(known)}"
            raise DriverOptionError(f"btrfs.{key}", "is unknown", remedy=remedy)


def _size(key: str, text: str) -> int:
    """Return bytes: ``10G``, ``512 MiB``, ``1.5k`` are multiples of 1024."""
    found = _SIZE.fullmatch(text)
    if found is None:
        reason = f"{text!r} is no size"
        raise DriverOptionError(f"btrfs.{key}", reason, remedy="write it as 10G")
    whole, fraction, unit = found[1], found[2] or "", found[3].lower()
    power: int = 1024 ** (_POWERS.index(unit) + 1) if unit else 1
    digits: int = 10 ** len(fraction)
    return int(whole + fraction) * power // digits
