"""Counts that a daemon holds, where its note of them cannot be written."""

import errno
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from backend import Store, StoreOptions, open_store
from backend.model.records import Container
from drivers.linux import atomicfile
from fusefs import heldmounts
from fusefs.heldmounts import HeldMounts


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    options = StoreOptions(str(tmp_path / "graph"), str(tmp_path / "run"), driver="vfs")
    with open_store(options) as opened:
        yield opened


@pytest.fixture
def web(store: Store) -> Container:
    return store.containers.create(names=["web"])


@pytest.fixture
def held(store: Store) -> HeldMounts:
    held = HeldMounts(store, store.options.run_root)
    held.begin("/nowhere", 1)
    return held


class Disk:
    """Where notes are written, as long as there is room."""

    def __init__(self) -> None:
        self.is_full = False
        self._write = atomicfile.replace

    def replace(self, path: str, data: bytes, **how: Any) -> Any:
        if self.is_full and os.path.dirname(path).endswith("/storagefs"):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path)
        return self._write(path, data, **how)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    disk = Disk()
    monkeypatch.setattr(atomicfile, "replace", disk.replace)
    return disk


def test_a_count_that_cannot_be_taken_out_of_the_note_is_kept_for_the_next_daemon(
    store: Store, web: Container, held: HeldMounts, disk: Disk
) -> None:
    held.take(web.id)
    disk.is_full = True
    held.give_back(web.id)
    assert (store.mounts.count(web.id), held.held()) == (1, {web.layer: 1})
    held.end()
    disk.is_full = False
    assert heldmounts.recover(store, store.options.run_root) == ["/nowhere"]
    assert store.mounts.count(web.id) == 0


def test_a_count_that_could_not_be_given_back_goes_with_the_next_one(
    store: Store, web: Container, held: HeldMounts, disk: Disk
) -> None:
    held.take(web.id)
    disk.is_full = True
    held.give_back(web.id)
    disk.is_full = False
    held.take(web.id)
    for _ in range(2):
        held.give_back(web.id)
    assert (store.mounts.count(web.id), held.held()) == (0, {})


def test_a_container_that_cannot_be_noted_is_not_mounted(
    store: Store, web: Container, held: HeldMounts, disk: Disk
) -> None:
    disk.is_full = True
    with pytest.raises(OSError, match="No space"):
        held.take(web.id)
    assert (store.mounts.count(web.id), held.held()) == (0, {})
