"""``storagefs errors``.

Used by: backend.cli.command. Knows nothing of: stores; it reads the file of a mounted tree.
"""

import json
import os
from collections.abc import Iterator, Sequence
from typing import Final

from backend.cli.request import Request
from backend.errors import NotMountedError
from drivers.errors import StorageError
from drivers.linux import mountinfo

_FSTYPE: Final = "fuse.storagefs"


def run(request: Request) -> int:
    """Show the last refused operations of one mounted tree, oldest first."""
    arguments = request.line.arguments
    mount_point = arguments[0] if arguments else _only_mount()
    entries = _read(mount_point)
    if request.json:
        request.output.json(entries)
    else:
        request.output.lines(_plain(entries))
    return 0


def _only_mount() -> str:
    mounts = [entry.target for entry in mountinfo.read() if entry.fstype == _FSTYPE]
    if len(mounts) == 1:
        return mounts[0]
    if not mounts:
        raise StorageError("no storagefs is mounted here", remedy="storagefs mount MOUNTPOINT")
    raise StorageError(f"several are mounted: {', '.join(mounts)}", remedy="name one of them")


def _read(mount_point: str) -> Sequence[dict[str, object]]:
    entry = mountinfo.at(os.path.abspath(mount_point))
    if entry is None or entry.fstype != _FSTYPE:
        raise NotMountedError(f"{mount_point}: a storagefs")
    with open(os.path.join(mount_point, "errors"), "rb") as file:
        return [json.loads(line) for line in file if line.strip()]


def _plain(entries: Sequence[dict[str, object]]) -> Iterator[str]:
    for entry in entries:
        text = (
            f"{entry.get('time')} {entry.get('operation')} {entry.get('path')}: "
            f"{entry.get('errno')}: {entry.get('reason')}"
        )
        remedy = entry.get("remedy")
        yield f"{text}; {remedy}" if remedy else text
