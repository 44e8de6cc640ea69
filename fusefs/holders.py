"""Which processes keep a mounted tree busy.

Used by: fusefs.umountverb. Knows nothing of: FUSE. Reads /proc only; the tree is not touched.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from drivers.linux.process import command_name

_LINKS: Final = (("cwd", "working directory"), ("root", "root directory"), ("exe", "program"))


@dataclass(frozen=True, slots=True)
class Holder:
    """A process, and what it holds."""

    pid: int
    command: str
    what: str

    def __str__(self) -> str:
        return f"{self.command} (PID {self.pid}, {self.what})"


def holders(place: str) -> Iterator[Holder]:
    """Processes that hold *place* or something below it; only those that we may look into."""
    for name in os.listdir("/proc"):
        if name.isdigit() and int(name) != os.getpid():
            what = _held_by(f"/proc/{name}", place)
            if what:
                yield Holder(int(name), command_name(int(name)), what)


def _held_by(process: str, place: str) -> str:
    for link, meaning in _LINKS:
        if _is_below(_target(f"{process}/{link}"), place):
            return meaning
    try:
        descriptors = os.listdir(f"{process}/fd")
    except OSError:
        return ""
    for descriptor in descriptors:
        path = _target(f"{process}/fd/{descriptor}")
        if _is_below(path, place):
            return f"open file {path}"
    return _mapped(f"{process}/maps", place)


def _mapped(maps: str, place: str) -> str:
    try:
        with open(maps, "rb") as file:
            lines = file.read().splitlines()
    except OSError:
        return ""
    for line in lines:
        fields = line.split(maxsplit=5)
        path = os.fsdecode(fields[5]) if len(fields) == 6 else ""
        if _is_below(path, place):
            return f"mapped file {path}"
    return ""


def _target(link: str) -> str:
    try:
        return os.readlink(link)
    except OSError:
        return ""


def _is_below(path: str, place: str) -> bool:
    path = path.removesuffix(" (deleted)")
    return path == place or path.startswith(place.rstrip("/") + "/")
