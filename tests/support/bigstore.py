"""A store of many layers in no time: records and empty directories as the Go tool lays them out.

Used by: mount tests and scripts/bench that ask how things grow.
"""

import hashlib
import json
from pathlib import Path

from tests.support.gotools import Roots

CHAIN = 20
"""Layers from a base to the top of its chain."""


def layer_id(number: int) -> str:
    """The ID of layer *number*."""
    return hashlib.sha256(f"layer {number}".encode()).hexdigest()


def make(roots: Roots, layers: int, *, with_directories: bool = True) -> None:
    """Chains of CHAIN layers each, *layers* in all, each layer with a name."""
    for directory in ("overlay-layers", "overlay-images", "overlay-containers", "overlay/l"):
        (roots.graph / directory).mkdir(parents=True, mode=0o700)
    for lock in ("overlay-layers/layers", "overlay-images/images", "overlay-containers/containers"):
        (roots.graph / f"{lock}.lock").touch(0o644)
    (roots.graph / "storage.lock").touch(0o644)
    records = [_record(number) for number in range(layers)]
    text = json.dumps(records, separators=(",", ":"))  # noqa: TID251 - plain ASCII, as Go writes it
    path = roots.graph / "overlay-layers" / "layers.json"
    path.write_text(text)
    path.chmod(0o600)
    if with_directories:
        for number in range(layers):
            _directories(roots.graph / "overlay", number)


def _record(number: int) -> dict[str, object]:
    digest = "sha256:" + hashlib.sha256(f"diff {number}".encode()).hexdigest()
    record: dict[str, object] = {"id": layer_id(number), "names": [f"layer-{number}"]}
    if number % CHAIN:
        record["parent"] = layer_id(number - 1)
    return record | {
        "created": f"2026-11-21T19:36:24.{number + 1:09}Z".replace("0Z", "1Z"),
        "diff-digest": digest,
        "diff-size": 10240,
    }


def _link(number: int) -> str:
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    return "".join(
        letters[byte % 26] for byte in hashlib.sha256(str(number).encode()).digest()[:26]
    )


def _directories(home: Path, number: int) -> None:
    layer = home / layer_id(number)
    for name in ("diff", "work"):
        (layer / name).mkdir(parents=True)
    (layer / "link").write_text(_link(number))
    (home / "l" / _link(number)).symlink_to(f"../{layer.name}/diff")
    if below := number % CHAIN:
        lower = ":".join(f"l/{_link(number - up)}" for up in range(1, below + 1))
        (layer / "lower").write_text(lower)
