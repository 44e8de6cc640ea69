"""Layers that arrive as archives: all of the work before the locks, all of the layer or none.

Used by: backend.api.layers. Knows nothing of: how an archive is read (backend.api.applying).
Nobody waits for a slow archive: it is read, checked and unpacked while no lock is held. Crash
table: backend/LOCKING.md. Source of the order: containers/storage store.go (PutLayer), layers.go
(stageWithUnlockedStore, applyDiffWithOptions).
"""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import BinaryIO, Final

from backend.api import applying, making, staging
from backend.api.applying import NO_HINTS, EntriesIgnored, Hints
from backend.api.planning import LayerRequest, Plan
from backend.api.workshop import Workshop
from backend.errors import LayerUnknownError
from backend.files.flushing import FlushAhead
from backend.files.stagedfile import StagedFile
from backend.model.records import Layer
from backend.stores.transaction import Kind, WriteTx
from drivers.archive.apply import Applied
from drivers.protocol import StagedLayer
from drivers.trash import TrashDirectory

_PIECE: Final = 1 << 20


class _Staged:
    """The content of a layer, in a directory of its own."""

    def __init__(self, content: StagedLayer, tar_split: StagedFile, applied: Applied) -> None:
        self._content, self._tar_split, self._applied = content, tar_split, applied

    def fill(self, shop: Workshop, layer: Layer) -> Layer:
        """Rename everything to where *layer* has it; the locks are held."""
        self._content.commit()
        self._tar_split.place(shop.tar_split(layer))
        return applying.with_content(layer, self._applied)


class _Spooled:
    """An archive that was read to its end and found whole, kept in a file."""

    def __init__(self, archive: BinaryIO, tar_split: StagedFile, applied: Applied) -> None:
        self._archive, self._tar_split, self._applied = archive, tar_split, applied

    def fill(self, shop: Workshop, layer: Layer) -> Layer:
        """Unpack it into the directories that *layer* has; the locks are held."""
        self._archive.seek(0)
        place = shop.open_driver().open_apply(layer.id, layer.parent)
        with (
            applying.opened(place),
            open(os.devnull, "wb") as nowhere,
            FlushAhead(lambda: making.flush(shop, layer)) as ahead,
        ):
            known, wrote = applying.known(self._applied), ahead.wrote
            applying.unpack(shop, place, layer, self._archive, nowhere, hints=known, wrote=wrote)
        making.flush(shop, layer)
        self._tar_split.place(shop.tar_split(layer))
        return applying.with_content(layer, self._applied)


def put(shop: Workshop, request: LayerRequest, source: BinaryIO, hints: Hints) -> Layer:
    """Make a layer out of the archive *source*; after any error nothing of it is there."""
    hints.check()
    plan = staging.plan(shop, request)
    with applying.naming_full_disks(f"layer {request.id[:12]}", shop.paths.graph_root):
        if plan.changes_owners:
            return _put_in_place(shop, request, plan, source, hints)
        with (
            staging.content(shop, request, plan) as content,
            _staged(shop, content, plan.wanted, source, hints) as staged,
        ):
            return staging.record(shop, request, plan, lambda layer: staged.fill(shop, layer))


def apply_diff(shop: Workshop, editable: Callable[[WriteTx], Layer], source: BinaryIO) -> Layer:
    """Unpack the archive *source* over what a layer has; *editable* finds and checks the layer.

    An archive that is no good is found out before anything is touched. From the first file on,
    until the last, the record names no digest, so that a stop never leaves a false one.
    """
    with shop.writing(Kind.LAYERS) as tx:
        found = editable(tx)
    with (
        applying.naming_full_disks(f"layer {found.id[:12]}", shop.paths.graph_root),
        _prepared(shop, found, source) as archive,
        shop.writing(Kind.LAYERS) as tx,
    ):
        layer = editable(tx)
        if (layer.id, layer.created) != (found.id, found.created):
            raise LayerUnknownError(found.id)  # another one has its name, or ID, now
        unknown = applying.without_content(layer)
        if unknown != layer:
            tx.layers.put(unknown)
            tx.layers.save()
        trash = TrashDirectory(shop.trash_root)
        tx.afterwards.append(trash.erase)
        trash.take(shop.tar_split(layer))
        layer = archive.fill(shop, unknown)
        tx.layers.put(layer)
        tx.layers.save()
        return layer


def _put_in_place(
    shop: Workshop, request: LayerRequest, plan: Plan, source: BinaryIO, hints: Hints
) -> Layer:
    """Files below belong to other IDs than in the new layer: they come first, under the locks."""
    with _spooled(shop, source, hints) as archive:

        def fill(layer: Layer) -> Layer:
            making.make_directories(shop, layer, plan.below, writable=request.writable)
            return archive.fill(shop, layer)

        return staging.record(shop, request, plan, fill)


@contextmanager
def _prepared(shop: Workshop, layer: Layer, source: BinaryIO) -> Iterator[_Staged | _Spooled]:
    """The archive unpacked, if *layer* is empty; otherwise read and kept."""
    content = shop.open_driver().stage_into(layer.id, layer.parent)
    with ExitStack() as stack:
        if content is None:
            yield stack.enter_context(_spooled(shop, source, NO_HINTS))
        else:
            stack.callback(content.discard)
            yield stack.enter_context(_staged(shop, content, layer, source, NO_HINTS))


@contextmanager
def _staged(
    shop: Workshop, content: StagedLayer, layer: Layer, source: BinaryIO, hints: Hints
) -> Iterator[_Staged]:
    with StagedFile(shop.trash_root) as tar_split:
        with FlushAhead(lambda: staging.flush(shop, content)) as ahead:
            applied = applying.unpack(
                shop,
                content.place,
                layer,
                source,
                tar_split.file,
                hints=hints,
                wrote=ahead.wrote,
            )
        tar_split.seal()
        staging.flush(shop, content)
        yield _Staged(content, tar_split, applied)


@contextmanager
def _spooled(shop: Workshop, source: BinaryIO, hints: Hints) -> Iterator[_Spooled]:
    with StagedFile(shop.trash_root) as tar_split, StagedFile(shop.trash_root) as archive:
        shutil.copyfileobj(source, archive.file, _PIECE)
        archive.file.seek(0)
        applied = applying.read(archive.file, EntriesIgnored(), tar_split.file, hints)
        tar_split.seal()
        yield _Spooled(archive.file, tar_split, applied)
