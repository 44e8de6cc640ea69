"""Where everything of a store is, once its driver is known (pure).

Used by: backend.store, backend.stores, backend.api. Knows nothing of: what is in the files.
Source: containers/storage store.go (load), layers.go (pickStoreLocation).
"""

from __future__ import annotations

import os
from typing import Final

TAR_SPLIT: Final = ".tar-split.gz"


class StorePaths:
    """Directories and files of one graph root. ``image_store`` is "" where there is none."""

    def __init__(
        self,
        *,
        graph_root: str,
        run_root: str,
        driver: str,
        image_store: str = "",
        transient: bool = False,
    ) -> None:
        self.graph_root, self.run_root, self.driver = graph_root, run_root, driver
        self.image_store, self.transient = image_store, transient

    @property
    def graph_lock(self) -> str:
        """Guards the driver: who mounts holds it."""
        return os.path.join(self.graph_root, "storage.lock")

    @property
    def userns_lock(self) -> str:
        """Serialises the choice of IDs for new containers."""
        return os.path.join(self.graph_root, "userns.lock")

    @property
    def layers(self) -> str:
        """Records of layers, with their tar-split files and data items."""
        return self._below(self.graph_root, "layers")

    def tar_split(self, layer: str) -> str:
        """What a layer's archive was made of, beside the payloads (drivers.archive.tarsplit)."""
        return os.path.join(self.layers, f"{layer}{TAR_SPLIT}")

    @property
    def image_store_layers(self) -> str:
        """Records of the layers that live in the image store."""
        return self._below(self.image_store, "layers") if self.image_store else ""

    @property
    def run_layers(self) -> str:
        """Mount points, and volatile layers of a transient store."""
        return self._below(self.run_root, "layers")

    @property
    def images(self) -> str:
        """Records of images, with their data items."""
        return self._below(self.image_store or self.graph_root, "images")

    @property
    def graph_images(self) -> str:
        """User data of images; also records of images, whether or not there is an image store."""
        return self._below(self.graph_root, "images")

    @property
    def run_images(self) -> str:
        """Run-time user data of images."""
        return self._below(self.run_root, "images")

    @property
    def containers(self) -> str:
        """Records of containers, with their data items and user data."""
        return self._below(self.graph_root, "containers")

    @property
    def run_containers(self) -> str:
        """Run-time user data of containers; volatile records of a transient store."""
        return self._below(self.run_root, "containers")

    @property
    def unsettled_layers(self) -> str:
        """Names of layers that are being made or taken away, beside the records that say so."""
        return os.path.join(self.volatile_layers, "unsettled")

    @property
    def volatile_layers(self) -> str:
        """Directory of volatile-layers.json."""
        return self.run_layers if self.transient else self.layers

    @property
    def volatile_containers(self) -> str:
        """Directory of volatile-containers.json and of the containers' lock."""
        return self.run_containers if self.transient else self.containers

    def _below(self, root: str, kind: str) -> str:
        return os.path.join(root, f"{self.driver}-{kind}")
