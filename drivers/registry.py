"""Names of drivers to drivers, with the options meant for each.

Used by: backend.store. Knows nothing of: how any driver works, which one a store has data of.
Rule: a driver's module is imported when it is chosen, and opening one costs no system call that
listing does not need.
"""

from collections.abc import Sequence
from typing import Final

from drivers.errors import DriverNotSupportedError, DriverOptionError
from drivers.protocol import Driver, DriverOptions

__all__ = ["DriverOptions", "canonical_name", "open_driver", "settings_for"]

_KNOWN: Final = ("overlay", "btrfs", "zfs", "vfs")
_ALIASES: Final = {"overlay2": "overlay"}

Settings = tuple[tuple[str, str], ...]


def open_driver(options: DriverOptions) -> Driver:
    """Return the driver that is named, else the first of the priority that works there."""
    if options.name:
        return _make(canonical_name(options.name), options)
    return _first_that_works(options)


def canonical_name(name: str) -> str:
    """Return the one name of a driver that has several."""
    return _ALIASES.get(name, name)


def settings_for(driver: str, texts: Sequence[str]) -> Settings:
    """Return (key, value) of the options meant for *driver*.

    Both spellings count: ``overlay.mountopt=nodev`` and, for whichever driver runs,
    ``.mountopt=nodev`` or ``mountopt=nodev``. Options of other drivers are passed over.
    """
    found = []
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals:
            raise DriverOptionError(text, "has no value", remedy="write it as NAME.KEY=VALUE")
        prefix, dot, rest = key.strip().lower().partition(".")
        prefix, setting = (prefix, rest) if dot else ("", prefix)
        if prefix and canonical_name(prefix) not in _KNOWN:
            raise DriverOptionError(
                text, f"there is no driver {prefix!r}", remedy=f"known are {', '.join(_KNOWN)}"
            )
        if canonical_name(prefix) in ("", driver):
            found.append((setting, value))
    return tuple(found)


def _make(name: str, options: DriverOptions) -> Driver:
    if name == "overlay":
        from drivers.overlay.driver import OverlayDriver

        return OverlayDriver(options, settings_for(name, options.options))
    if name == "vfs":
        from drivers.vfs.driver import VfsDriver

        return VfsDriver(options, settings_for(name, options.options))
    if name == "btrfs":
        from drivers.btrfs.driver import BtrfsDriver

        return BtrfsDriver(options, settings_for(name, options.options))
    raise DriverNotSupportedError(
        name, "storagefs has no such driver", remedy="use a store of overlay, btrfs or vfs"
    )


def _first_that_works(options: DriverOptions) -> Driver:
    reasons = []
    for name in map(canonical_name, options.priority or _KNOWN):
        try:
            driver = _make(name, options)
            if not options.read_only:
                driver.check_supported()
        except DriverNotSupportedError as refused:
            reasons.append(str(refused))
        else:
            return driver
    raise DriverNotSupportedError(
        "any", "; ".join(reasons), remedy="name a driver that works on this file system"
    )
