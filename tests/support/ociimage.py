"""A small OCI image layout, made by hand: what a registry would have given, with gzip layers.

Used by: tests.support.debian (the image that skopeo copies in), scripts/record_golden.py.
"""

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

EPOCH = 1_600_000_000
_MEDIA = "application/vnd.oci.image."


@dataclass(frozen=True, slots=True)
class Entry:
    """One member of a layer; a *link* makes it a symlink, no *data* a directory."""

    name: str
    data: bytes | None = None
    link: str = ""
    mode: int = 0o644

    def header(self) -> tarfile.TarInfo:
        """The tar header, with a fixed time and owner so that digests are the same in each run."""
        info = tarfile.TarInfo(self.name)
        info.mtime, info.mode = EPOCH, self.mode
        if self.link:
            info.type, info.linkname = tarfile.SYMTYPE, self.link
        elif self.data is None:
            info.type, info.mode = tarfile.DIRTYPE, 0o755
        else:
            info.size = len(self.data)
        return info


def layer_tar(entries: Sequence[Entry]) -> bytes:
    """The uncompressed tar of one layer."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for entry in entries:
            tar.addfile(entry.header(), io.BytesIO(entry.data or b""))
    return buffer.getvalue()


def write_layout(directory: Path, layers: Sequence[Sequence[Entry]]) -> None:
    """Write an OCI image layout whose only image has these layers."""
    blobs = _Blobs(directory / "blobs" / "sha256")
    tars = [layer_tar(entries) for entries in layers]
    packed = [gzip.compress(tar, mtime=0) for tar in tars]
    config = blobs.add_json("config.v1+json", _config([_digest(tar) for tar in tars]))
    manifest = {
        "schemaVersion": 2,
        "mediaType": _MEDIA + "manifest.v1+json",
        "config": config,
        "layers": [blobs.add("layer.v1.tar+gzip", blob) for blob in packed],
    }
    index = {"schemaVersion": 2, "manifests": [blobs.add_json("manifest.v1+json", manifest)]}
    (directory / "index.json").write_bytes(_json(index))
    (directory / "oci-layout").write_bytes(_json({"imageLayoutVersion": "1.0.0"}))


def _config(diff_ids: Sequence[str]) -> dict[str, Any]:
    created = "2020-09-13T12:26:40Z"
    steps = [{"created": created, "created_by": f"COPY step-{n} /"} for n in range(len(diff_ids))]
    empty = {"created": created, "created_by": 'CMD ["/bin/true"]', "empty_layer": True}
    return {
        "created": created,
        "architecture": "amd64",
        "os": "linux",
        "config": {"Cmd": ["/bin/true"], "Env": ["PATH=/bin"]},
        "rootfs": {"type": "layers", "diff_ids": list(diff_ids)},
        "history": [*steps, empty],
    }


def _digest(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


def _json(value: object) -> bytes:
    text = json.dumps(value)  # noqa: TID251 - not a file of a store
    return text.encode()


@dataclass(frozen=True, slots=True)
class _Blobs:
    directory: Path

    def add(self, kind: str, data: bytes) -> dict[str, Any]:
        """Store *data*; its descriptor."""
        self.directory.mkdir(parents=True, exist_ok=True)
        digest = _digest(data)
        (self.directory / digest.removeprefix("sha256:")).write_bytes(data)
        return {"mediaType": _MEDIA + kind, "digest": digest, "size": len(data)}

    def add_json(self, kind: str, value: object) -> dict[str, Any]:
        """Store *value* as JSON; its descriptor."""
        return self.add(kind, _json(value))
