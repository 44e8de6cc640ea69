"""The same verbs by our library and by the Go command: who does a step is only a matter of hands.

Used by: tests/stateful. Each verb says whether it was done; a refusal is no error here.
"""

import io
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

from backend import Store
from backend.api.containers import Containers
from backend.api.images import Images
from backend.api.layers import Layers
from drivers.archive.compression import Compression
from drivers.errors import StorageError
from tests.support.gotools import GoTools


class Hand(Protocol):
    """Verbs on one store. IDs are given by the caller, references are IDs or names."""

    def create_layer(self, identifier: str, parent: str, names: Sequence[str]) -> bool: ...
    def put_layer(self, identifier: str, parent: str, archive: bytes) -> bool: ...
    def apply(self, layer: str, archive: bytes) -> bool: ...
    def create_image(self, identifier: str, layer: str, names: Sequence[str]) -> bool: ...
    def create_container(self, identifier: str, image: str, names: Sequence[str]) -> bool: ...
    def set_names(self, kind: str, reference: str, names: Sequence[str]) -> bool: ...
    def add_names(self, kind: str, reference: str, names: Sequence[str]) -> bool: ...
    def set_metadata(self, kind: str, reference: str, text: str) -> bool: ...
    def set_item(self, kind: str, reference: str, key: str, data: bytes) -> bool: ...
    def item(self, kind: str, reference: str, key: str) -> bytes: ...
    def delete(self, kind: str, reference: str) -> bool: ...
    def mount(self, container: str) -> str: ...
    def unmount(self, container: str) -> bool: ...
    def archive(self, layer: str) -> bytes: ...


@dataclass(frozen=True, slots=True)
class Ours:
    """Our library, through one opening that lasts."""

    store: Store

    def create_layer(self, identifier: str, parent: str, names: Sequence[str]) -> bool:
        return _done(
            lambda: self.store.layers.create(id=identifier, parent=parent or None, names=names)
        )

    def put_layer(self, identifier: str, parent: str, archive: bytes) -> bool:
        source = io.BytesIO(archive)
        return _done(
            lambda: self.store.layers.put(
                source, id=identifier, parent=parent or None, writable=True
            )
        )

    def apply(self, layer: str, archive: bytes) -> bool:
        return _done(lambda: self.store.layers.apply_diff(layer, io.BytesIO(archive)))

    def create_image(self, identifier: str, layer: str, names: Sequence[str]) -> bool:
        return _done(
            lambda: self.store.images.create(id=identifier, layer=layer or None, names=names)
        )

    def create_container(self, identifier: str, image: str, names: Sequence[str]) -> bool:
        return _done(
            lambda: self.store.containers.create(id=identifier, image=image or None, names=names)
        )

    def set_names(self, kind: str, reference: str, names: Sequence[str]) -> bool:
        return _done(lambda: self._of(kind).set_names(reference, names))

    def add_names(self, kind: str, reference: str, names: Sequence[str]) -> bool:
        return _done(lambda: self._of(kind).add_names(reference, names))

    def set_metadata(self, kind: str, reference: str, text: str) -> bool:
        return _done(lambda: self._of(kind).set_metadata(reference, text))

    def set_item(self, kind: str, reference: str, key: str, data: bytes) -> bool:
        return _done(lambda: self._of(kind).set_big_data(reference, key, data))

    def item(self, kind: str, reference: str, key: str) -> bytes:
        return self._of(kind).big_data(reference, key)

    def delete(self, kind: str, reference: str) -> bool:
        return _done(lambda: self._of(kind).delete(reference))

    def mount(self, container: str) -> str:
        return self.store.mounts.mount(container)

    def unmount(self, container: str) -> bool:
        return _done(lambda: self.store.mounts.unmount(container))

    def archive(self, layer: str) -> bytes:
        with self.store.layers.diff(layer, compression=Compression.NONE) as stream:
            return b"".join(stream)

    def _of(self, kind: str) -> Layers | Images | Containers:
        return {
            "layer": self.store.layers,
            "image": self.store.images,
            "container": self.store.containers,
        }[kind]


@dataclass(frozen=True, slots=True)
class Theirs:
    """``containers-storage``, a process each time."""

    go: GoTools

    def create_layer(self, identifier: str, parent: str, names: Sequence[str]) -> bool:
        return self._did("create-layer", "-i", identifier, *_named(names), parent)

    def put_layer(self, identifier: str, parent: str, archive: bytes) -> bool:
        return self._did("import-layer", "-i", identifier, parent, stdin=archive)

    def apply(self, layer: str, archive: bytes) -> bool:
        return self._did("applydiff", layer, stdin=archive)

    def create_image(self, identifier: str, layer: str, names: Sequence[str]) -> bool:
        return self._did("create-image", "-i", identifier, *_named(names), layer)

    def create_container(self, identifier: str, image: str, names: Sequence[str]) -> bool:
        return self._did("create-container", "-i", identifier, *_named(names), image)

    def set_names(self, kind: str, reference: str, names: Sequence[str]) -> bool:
        return self._did("set-names", *_named(names), reference)

    def add_names(self, kind: str, reference: str, names: Sequence[str]) -> bool:
        return self._did("add-names", *_named(names), reference)

    def set_metadata(self, kind: str, reference: str, text: str) -> bool:
        return self._did("set-metadata", "-m", text, reference)

    def set_item(self, kind: str, reference: str, key: str, data: bytes) -> bool:
        return self._did(f"set-{kind}-data", reference, key, stdin=data)

    def item(self, kind: str, reference: str, key: str) -> bytes:
        return self.go.run("containers-storage", f"get-{kind}-data", reference, key).stdout

    def delete(self, kind: str, reference: str) -> bool:
        return self._did(f"delete-{kind}", reference)

    def mount(self, container: str) -> str:
        return self.go.storage("mount", container).split()[0]

    def unmount(self, container: str) -> bool:
        return self._did("unmount", container)

    def archive(self, layer: str) -> bytes:
        return self.go.run("containers-storage", "diff", "-u", layer).stdout

    def _did(self, *words: str, stdin: bytes = b"") -> bool:
        done = self.go.run("containers-storage", *words, check=False, stdin=stdin)
        return done.returncode == 0


def _named(names: Sequence[str]) -> list[str]:
    return [word for name in names for word in ("-n", name)]


def _done(verb: Callable[[], object]) -> bool:
    with suppress(StorageError):
        verb()
        return True
    return False
