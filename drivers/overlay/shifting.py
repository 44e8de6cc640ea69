"""Lower directories under other owners: for the time of a mount, copies of the homes that map IDs.

Used by: drivers.overlay.{driver,views,probe}.
Knows nothing of: which layers are merged, whose maps these are.

The kernel takes the copies either from HOME/ID/mapped/NUMBER, where the Go tools have them too,
or, since 6.15, from descriptors. The overlay keeps what it needs of them, so they are taken away
at once. Content of the layer itself is not mapped: it is stored under the IDs of the host.
"""

import contextlib
import os
from collections.abc import Iterator
from typing import Final, NamedTuple

from drivers.idmap.maps import IDMap
from drivers.linux import mount
from drivers.overlay.mountdata import OverlayMount
from drivers.overlay.mounting import unmount

_PRIVATE: Final = "mapped-"


class Shift(NamedTuple):
    """Which lower directories are mapped, and how: all below *homes* but those below *own*."""

    uid_map: tuple[IDMap, ...]
    gid_map: tuple[IDMap, ...]
    homes: tuple[str, ...]
    own: str = ""

    def home_of(self, lower: str) -> str | None:
        """The home that *lower* is in; None if it is not mapped."""
        if self.own and lower.startswith(self.own + "/"):
            return None
        return next((home for home in self.homes if lower.startswith(home + "/")), None)


@contextlib.contextmanager
def attached(overlay: OverlayMount, shift: Shift, place: str) -> Iterator[OverlayMount]:
    """Give *overlay* with mapped lowers; the directory *place* has the copies meanwhile."""
    detach(place)
    names = {}
    try:
        os.makedirs(place, 0o700, exist_ok=True)
        with _copies(overlay, shift) as copies:
            for number, (home, fd) in enumerate(copies.items()):
                names[home] = os.path.join(place, str(number))
                os.makedirs(names[home], 0o700, exist_ok=True)
                mount.move_mount(fd, names[home])
        yield _renamed(overlay, shift, names)
    finally:
        detach(place)


@contextlib.contextmanager
def by_descriptor(overlay: OverlayMount, shift: Shift) -> Iterator[OverlayMount]:
    """The same without anything that others could see; for Linux 6.15 and later."""
    with _copies(overlay, shift) as copies:
        names = {home: f"/proc/self/fd/{fd}" for home, fd in copies.items()}
        yield _renamed(overlay, shift, names)


def detach(place: str) -> None:
    """Take away what is, or was left by a crash, in *place*, and the place itself."""
    try:
        names = os.listdir(place)
    except (FileNotFoundError, NotADirectoryError):
        return
    for name in names:
        unmount(os.path.join(place, name))
        with contextlib.suppress(OSError):
            os.rmdir(os.path.join(place, name))
    with contextlib.suppress(OSError):
        os.rmdir(place)


def private_place(run_home: str) -> str:
    """Return a name for copies that belong to no layer's directory."""
    return os.path.join(run_home, f"{_PRIVATE}{os.urandom(8).hex()}")


def prune(run_home: str) -> None:
    """Take away the copies that a crash left in private places; those in use are only detached."""
    with contextlib.suppress(FileNotFoundError):
        for name in os.listdir(run_home):
            if name.startswith(_PRIVATE):
                detach(os.path.join(run_home, name))


@contextlib.contextmanager
def _copies(overlay: OverlayMount, shift: Shift) -> Iterator[dict[str, int]]:
    """Give one mapped copy of each home that has lowers."""
    homes = dict.fromkeys(map(shift.home_of, overlay.lowers))
    with contextlib.ExitStack() as opened:
        from drivers.linux import userns

        namespace = userns.with_maps(shift.uid_map, shift.gid_map)
        opened.callback(os.close, namespace)
        copies: dict[str, int] = {}
        for home in filter(None, homes):
            copies[home] = mount.mapped_copy(home, namespace)
            opened.callback(os.close, copies[home])
        yield copies


def _renamed(overlay: OverlayMount, shift: Shift, names: dict[str, str]) -> OverlayMount:
    def renamed(lower: str) -> str:
        home = shift.home_of(lower)
        return lower if home is None else names[home] + lower[len(home) :]

    return overlay._replace(lowers=tuple(map(renamed, overlay.lowers)))
