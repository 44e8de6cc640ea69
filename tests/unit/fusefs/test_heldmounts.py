"""Counts that a daemon holds, where its note of them cannot be written."""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from backend import Store, StoreOptions, open_store
from backend.model.records import Container
from drivers.linux import mount
from fusefs import heldmounts
from fusefs.heldmounts import HeldMounts

pytestmark = pytest.mark.root


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    options = StoreOptions(str(tmp_path / "graph"), str(tmp_path / "run"), driver="vfs")
    with open_store(options) as opened:
        yield opened


@pytest.fixture
def web(store: Store) -> Container:
    return store.containers.create(names=["web"])


class Disk:
    """Where the notes are: a file system of its own, which can be full."""

    def __init__(self, notes: str) -> None:
        self._filler = os.path.join(notes, "filler")

    def fill(self) -> None:
        """Leave no room."""
        with open(self._filler, "wb", buffering=0) as file, suppress(OSError):
            while file.write(bytes(1 << 12)):
                pass

    def empty(self) -> None:
        """Make room again."""
        os.unlink(self._filler)


@pytest.fixture
def disk(store: Store) -> Iterator[Disk]:
    notes = os.path.join(store.options.run_root, "storagefs")
    os.makedirs(notes)
    mount.mount("notes", notes, "tmpfs", 0, "size=64k")
    yield Disk(notes)
    mount.umount(notes, mount.MNT_DETACH)


@pytest.fixture
def held(store: Store, disk: Disk) -> HeldMounts:
    del disk
    held = HeldMounts(store, store.options.run_root)
    held.begin("/nowhere", 1)
    return held


def test_a_count_that_cannot_be_taken_out_of_the_note_is_kept_for_the_next_daemon(
    store: Store, web: Container, held: HeldMounts, disk: Disk
) -> None:
    held.take(web.id)
    disk.fill()
    held.give_back(web.id)
    assert (store.mounts.count(web.id), held.held()) == (1, {web.layer: 1})
    held.end()
    disk.empty()
    assert heldmounts.recover(store, store.options.run_root) == ["/nowhere"]
    assert store.mounts.count(web.id) == 0


def test_a_count_that_could_not_be_given_back_goes_with_the_next_one(
    store: Store, web: Container, held: HeldMounts, disk: Disk
) -> None:
    held.take(web.id)
    disk.fill()
    held.give_back(web.id)
    disk.empty()
    held.take(web.id)
    for _ in range(2):
        held.give_back(web.id)
    assert (store.mounts.count(web.id), held.held()) == (0, {})


def test_a_container_that_cannot_be_noted_is_not_mounted(
    store: Store, web: Container, held: HeldMounts, disk: Disk
) -> None:
    disk.fill()
    with pytest.raises(OSError, match="No space"):
        held.take(web.id)
    assert (store.mounts.count(web.id), held.held()) == (0, {})
