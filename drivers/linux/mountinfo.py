"""The kernel's mount table, /proc/self/mountinfo.

Used by: drivers, fusefs, backend.cli.errors. Knows nothing of: stores, layers.
Rule: nothing here touches a mount point itself. A dead FUSE mount would answer an error, or
never.
"""

import os
import re
from typing import Final, NamedTuple

_SPECIAL: Final = {" ": "\\040", "\t": "\\011", "\n": "\\012", "\\": "\\134"}


class MountEntry(NamedTuple):
    """One mount. ``root`` is what of its file system it shows, ``target`` where.

    ``options`` are those of this mount, ``super_options`` those of the file system;
    ``device`` is ``major:minor``.
    """

    id: int
    parent: int
    device: str
    root: str
    target: str
    options: str
    fstype: str
    source: str
    super_options: str


def read(path: str = "/proc/self/mountinfo") -> list[MountEntry]:
    """Return all mounts of this process's mount namespace, in the kernel's order."""
    with open(path, "rb") as table:
        text = os.fsdecode(table.read())
    return [_parse(line) for line in text.split("\n") if line]


def _parse(line: str) -> MountEntry:
    before, _, after = line.partition(" - ")
    mount_id, parent, *first = before.split(" ")[:6]
    rest = [*after.split(" "), "", ""][:3]
    fields = [*first, *rest]
    if "\\" in line:
        fields = [unescape(os.fsencode(field)) for field in fields]
    return MountEntry(int(mount_id), int(parent), *fields)


def at(target: str) -> MountEntry | None:
    """Return the mount that one sees at *target*, the topmost of a stack; None without any."""
    place = _resolved(target)
    found = [entry for entry in read() if entry.target == place]
    covered = {entry.parent for entry in found}
    return next((entry for entry in reversed(found) if entry.id not in covered), None)


def below(target: str) -> list[MountEntry]:
    """Return the mounts strictly below *target*, deepest and newest first."""
    prefix = _resolved(target).rstrip("/") + "/"
    newest_first = reversed(read())
    found = [entry for entry in newest_first if entry.target.startswith(prefix)]
    return sorted(found, key=lambda entry: -entry.target.count("/"))


def _resolved(target: str) -> str:
    """Follow the links on the way to *target*, as the kernel's table does, but not its own."""
    parent, name = os.path.split(os.path.abspath(target))
    return os.path.join(os.path.realpath(parent), name)


def mount_id(fd: int) -> int:
    """Return the ID of the mount that the descriptor *fd* was opened on."""
    with open(f"/proc/self/fdinfo/{fd}", "rb") as info:
        for line in info:
            if line.startswith(b"mnt_id:"):
                return int(line[7:])
    raise OSError(f"no mnt_id in /proc/self/fdinfo/{fd}")


def unescape(field: bytes) -> str:
    r"""Return the text of a field, in which blanks are written as \040 and so on."""
    return os.fsdecode(
        re.sub(rb"\\([0-7]{3})", lambda code: bytes([int(code[1], 8) & 0xFF]), field)
    )


def escape(text: str) -> str:
    """Return *text* as the kernel would write it into a field."""
    return "".join(_SPECIAL.get(letter, letter) for letter in text)
