"""Images in skopeo's ``dir:`` form, of layers byte by byte: written, and read back.

Used by: tests/compat/test_digests.py, tests/compat/test_podman_store.py.
"""

import json
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

_MEDIA = "application/vnd.oci.image."
_KINDS = {b"\x1f\x8b": "layer.v1.tar+gzip", b"\x28\xb5": "layer.v1.tar+zstd"}
"""Media types by the first bytes of a layer; others are not compressed."""


def digest(data: bytes) -> str:
    """As manifests write it."""
    return f"sha256:{sha256(data).hexdigest()}"


def write(directory: Path, layers: Sequence[bytes], plain: Sequence[bytes] | None = None) -> str:
    """Make the image of these archives, the lowest first; its ID.

    *plain* are the archives uncompressed, where they are not so already.
    """
    directory.mkdir()
    (directory / "version").write_text("Directory Transport Version: 1.1\n")
    config = _json(
        {
            "architecture": "amd64",
            "os": "linux",
            "config": {"Cmd": ["/bin/true"]},
            "rootfs": {"type": "layers", "diff_ids": [digest(tar) for tar in plain or layers]},
            "history": [{"created_by": f"layer {number}"} for number in range(len(layers))],
        }
    )
    manifest = {
        "schemaVersion": 2,
        "mediaType": f"{_MEDIA}manifest.v1+json",
        "config": _add(directory, "config.v1+json", config),
        "layers": [
            _add(directory, _KINDS.get(layer[:2], "layer.v1.tar"), layer) for layer in layers
        ],
    }
    (directory / "manifest.json").write_bytes(_json(manifest))
    return digest(config).removeprefix("sha256:")


def layer_digests(directory: Path) -> list[str]:
    """Digests of the files of an image's layers, computed; each has to be the manifest's."""
    listed = json.loads((directory / "manifest.json").read_bytes())["layers"]
    found = []
    for layer in listed:
        with (directory / layer["digest"].removeprefix("sha256:")).open("rb") as blob:
            computed = sha256()
            while piece := blob.read(1 << 20):
                computed.update(piece)
        found.append(f"sha256:{computed.hexdigest()}")
        assert found[-1] == layer["digest"]
    return found


def diff_ids(directory: Path) -> list[str]:
    """Digests of an image's layers uncompressed, as its configuration lists them."""
    manifest = json.loads((directory / "manifest.json").read_bytes())
    config = directory / manifest["config"]["digest"].removeprefix("sha256:")
    listed: list[str] = json.loads(config.read_bytes())["rootfs"]["diff_ids"]
    return listed


def _add(directory: Path, kind: str, data: bytes) -> dict[str, Any]:
    """Write a blob; its descriptor."""
    (directory / digest(data).removeprefix("sha256:")).write_bytes(data)
    return {"mediaType": _MEDIA + kind, "digest": digest(data), "size": len(data)}


def _json(value: object) -> bytes:
    text = json.dumps(value)  # noqa: TID251 - not a file of a store
    return text.encode()
