"""Names of drivers to drivers: which one a graph root belongs to, and its options.

Used by: backend.store and backend.config. Knows nothing of: how any driver works.
Rule: a driver's module is imported when it is chosen, and opening one costs no system call that
listing does not need.
"""

import os
from collections.abc import Sequence
from typing import Final

from drivers.errors import DriverNotSupportedError, DriverOptionError, WrongDriverError
from drivers.protocol import Driver, DriverOptions

__all__ = ["DriverOptions", "canonical_name", "existing_drivers", "open_driver", "settings_for"]

_KNOWN: Final = ("overlay", "btrfs", "zfs", "vfs")
_ALIASES: Final = {"overlay2": "overlay"}

Settings = tuple[tuple[str, str], ...]


def open_driver(options: DriverOptions) -> Driver:
    """Return the driver for a graph root by the Go tools' rules (store-format 6.1).

    A configured name decides. Otherwise what is there decides, in order of priority; a leftover
    vfs directory only does so when the priority is configured. Otherwise the first that works.
    """
    if options.name:
        return _make(canonical_name(options.name), options)
    present = existing_drivers(options.graph_root)
    candidates = [name for name in options.priority or _KNOWN if options.priority or name != "vfs"]
    for name in map(canonical_name, candidates):
        if name in present:
            if len(present) > 1:
                raise _several(options.graph_root, present)
            return _make(name, options)
    return _first_that_works(options)


def canonical_name(name: str) -> str:
    """Return the one name of a driver that has several."""
    return _ALIASES.get(name, name)


def existing_drivers(graph_root: str) -> tuple[str, ...]:
    """Return the names of the drivers that have a home below *graph_root*."""
    return tuple(name for name in _KNOWN if os.path.lexists(os.path.join(graph_root, name)))


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


def _several(graph_root: str, present: Sequence[str]) -> WrongDriverError:
    return WrongDriverError(
        f"{graph_root} has data of several drivers: {', '.join(present)}",
        remedy="say which one with --storage-driver, or remove the directory of the other",
    )
