"""Whether a store is in order when a test is done with it: counts, mounts, locks.

Used by: mount and compat tests; 1.43 of the Go tool has no ``check`` of its own.
"""

import json
from pathlib import Path

from tests.support import mounttable, process
from tests.support.gotools import GoTools


def mount_counts(go: GoTools) -> dict[str, int]:
    """Layer ID to count, as mountpoints.json has it."""
    path = go.roots.run / f"{go.driver}-layers" / "mountpoints.json"
    entries = json.loads(path.read_text() or "[]") if path.exists() else []
    return {entry["id"]: entry["count"] for entry in entries or []}


def overlay_mounts(go: GoTools) -> list[str]:
    """Where overlay is mounted below the graph root or the run root."""
    found = mounttable.below(go.roots.graph) + mounttable.below(go.roots.run)
    return [mount.target for mount in found if mount.fstype == "overlay"]


def problems(go: GoTools) -> list[str]:
    """What is wrong with a store that nobody uses any more; empty if all is well."""
    found = [f"layer {layer} is still counted: {n}" for layer, n in mount_counts(go).items() if n]
    found += [f"overlay is still mounted on {target}" for target in overlay_mounts(go)]
    found += [f"{lock} is still locked" for lock in go.roots.graph.rglob("*.lock") if held(lock)]
    return found + _record_problems(go)


def held(lock: Path) -> bool:
    """Whether some process holds a record lock on *lock*, asked by a process that may not."""
    script = (
        "import fcntl,struct,sys; f=open(sys.argv[1],'rb+');"
        "r=fcntl.fcntl(f, fcntl.F_OFD_GETLK, struct.pack('hhqqi4x', fcntl.F_WRLCK, 0, 0, 0, 0));"
        "sys.exit(struct.unpack('hhqqi4x', r)[0] != fcntl.F_UNLCK)"
    )
    return process.run(["python3", "-c", script, str(lock)], check=False).returncode != 0


def _record_problems(go: GoTools) -> list[str]:
    layers = {layer["id"]: layer for layer in go.storage_json("layers", "--json")}
    found = []
    for layer in layers.values():
        if (layer.get("flags") or {}).get("incomplete"):
            found.append(f"layer {layer['id']} is incomplete")
        if layer.get("parent", layer["id"]) not in layers:
            found.append(f"layer {layer['id']} has no parent {layer['parent']}")
        if not (go.roots.graph / go.driver / layer["id"] / "diff").is_dir():
            found.append(f"layer {layer['id']} has no directory")
    users = go.storage_json("containers", "--json") + go.storage_json("images", "--json")
    return found + [
        f"{user['id']} stands on {user['layer']}, which is no layer"
        for user in users
        if user.get("layer") and user["layer"] not in layers
    ]
