"""``version``, ``config`` and ``status``: what is mounted here, and how it does.

Used by: fusefs.nodes.root. Knows nothing of: nodes.
"""

import os
from collections.abc import Mapping
from typing import Any, Final

from backend.version import VERSION
from drivers.errors import StorageError
from fusefs.nodes import document
from fusefs.nodes.context import TreeContext

_STORE_FORMAT: Final = "containers/storage 1.43 to 1.63"
_DAMAGE_SHOWN: Final = 100


def version_text() -> bytes:
    """Version of storagefs and of the store format."""
    return f"storagefs {VERSION}\nstore format {_STORE_FORMAT}\n".encode()


def config_text(context: TreeContext) -> bytes:
    """Each option in effect, with the file, variable or flag that it came from."""
    options = context.store.options
    lines = []
    for name, value in options._asdict().items():
        if name == "origins":
            continue
        shown = document.line(list(value) if isinstance(value, tuple) else value).strip()
        origin = options.origins.get(name, "default")
        lines.append(name.encode() + b" = " + shown + f"  # {origin}\n".encode())
    return b"".join(lines)


def status_text(context: TreeContext) -> bytes:
    """One JSON document: roots, driver, counts, sizes, problems, native mounts."""
    records, options = context.records(), context.store.options
    return document.page(
        {
            "graph_root": options.graph_root,
            "run_root": options.run_root,
            "read_only": options.read_only,
            "driver": _driver(context),
            "counts": {
                "layers": len(records.layers),
                "images": len(records.images),
                "containers": len(records.containers),
                "mounted": sum(1 for mounted in records.mounts.values() if mounted.count > 0),
            },
            "filesystem": _space(options.graph_root),
            "health": {
                "problems": len(records.problems),
                "shown": [
                    dict(zip(problem._fields, problem, strict=True))
                    for problem in records.problems[:_DAMAGE_SHOWN]
                ],
            },
            "native_mounts": sorted(context.attached()),
        }
    )


def _driver(context: TreeContext) -> Mapping[str, Any]:
    try:
        driver = context.store.driver
        return {"name": driver.name, "home": driver.home, **dict(driver.status())}
    except StorageError as exc:
        return {"error": str(exc)}


def _space(path: str) -> Mapping[str, int]:
    try:
        found = os.statvfs(path)
    except OSError:
        return {}
    return {
        "bytes": found.f_blocks * found.f_frsize,
        "bytes_free": found.f_bavail * found.f_frsize,
        "inodes": found.f_files,
        "inodes_free": found.f_ffree,
    }
