"""Additional image stores: where they are, as the driver options say it (pure).

Used by: backend.store. Source: containers/storage drivers/overlay/overlay.go (parseOptions) and
internal/driver/driver.go (ParseDriverOption).
"""

from __future__ import annotations

from collections.abc import Iterable

_KEYS = ("imagestore", "additionalimagestore")


def directories(driver_options: Iterable[str], driver: str) -> tuple[str, ...]:
    """The stores in the order given, without repetitions."""
    found: list[str] = []
    for option in driver_options:
        name, _, value = option.partition("=")
        prefix, dot, key = name.lower().rpartition(".")
        ours = not dot or prefix in ("", driver) or (prefix == "overlay2" and driver == "overlay")
        if ours and key in _KEYS:
            found += [path.strip() for path in value.split(",")]
    return tuple(dict.fromkeys(path for path in found if path))
