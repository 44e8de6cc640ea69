"""Records and rules: which layers, images and containers exist, and what may happen next.

with open_store(StoreOptions(graph_root=..., run_root=...)) as store:
    for image in store.snapshot().images: ...
"""

from __future__ import annotations

from backend.errors import (
    BigDataUnknownError,
    ConfigError,
    ContainerUnknownError,
    DamagedError,
    DiskFullError,
    DuplicateError,
    DuplicateIDError,
    DuplicateNameError,
    ImageInUseError,
    ImageUnknownError,
    InUseError,
    InvalidValueError,
    LayerHasChildrenError,
    LayerInUseError,
    LayerUnknownError,
    LockTimeoutError,
    MountedError,
    NotAStoreError,
    NotMountedError,
    ParentIsContainerError,
    ReadOnlyStoreError,
    RecordFileError,
    StoreError,
    UnknownObjectError,
)
from backend.model.options import StoreOptions
from backend.model.records import Container, ContainerID, Image, ImageID, Layer, MountPoint
from backend.model.snapshot import Problem, Snapshot
from backend.store import Store, open_store
from drivers.ids import LayerID

__all__ = [
    "BigDataUnknownError",
    "ConfigError",
    "Container",
    "ContainerID",
    "ContainerUnknownError",
    "DamagedError",
    "DiskFullError",
    "DuplicateError",
    "DuplicateIDError",
    "DuplicateNameError",
    "Image",
    "ImageID",
    "ImageInUseError",
    "ImageUnknownError",
    "InUseError",
    "InvalidValueError",
    "Layer",
    "LayerHasChildrenError",
    "LayerID",
    "LayerInUseError",
    "LayerUnknownError",
    "LockTimeoutError",
    "MountPoint",
    "MountedError",
    "NotAStoreError",
    "NotMountedError",
    "ParentIsContainerError",
    "Problem",
    "ReadOnlyStoreError",
    "RecordFileError",
    "Snapshot",
    "Store",
    "StoreError",
    "StoreOptions",
    "UnknownObjectError",
    "open_store",
]
