"""The watcher over real files; the store is a stand-in that reads one of them."""

import os
from collections.abc import Sequence
from pathlib import Path

import pytest
import trio

from backend.errors import LockTimeoutError
from backend.model.snapshot import ContainerTable, ImageTable, LayerTable, Snapshot
from fusefs import watch
from fusefs.offload import Offload
from fusefs.watch import Watcher


def empty() -> Snapshot:
    return Snapshot(LayerTable(), ImageTable(), ContainerTable(), {})


class OneFile:
    """A store whose records are one file; a new snapshot whenever its text is another."""

    def __init__(self, path: Path) -> None:
        self.path, self.text, self.taken = path, "", 0
        self.current = empty()
        self.locked = False

    def snapshot(self) -> Snapshot:
        self.taken += 1
        if self.locked:
            raise LockTimeoutError("records", 1, "somebody")
        text = self.path.read_text()
        if text == "damaged":
            raise OSError("cannot be read")
        if text != self.text:
            self.text, self.current = text, empty()
        return self.current

    def cached(self) -> Snapshot:
        return self.current

    def watched(self) -> Sequence[str]:
        return [os.fspath(self.path)]


async def _changes(store: OneFile, story, *, poke=None) -> int:
    """Run *story* with a watcher; how many changes it reported."""
    count = 0

    def changed() -> None:
        nonlocal count
        count += 1

    offload = Offload()
    watcher = Watcher(store, offload, changed)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(watcher.run)
        await trio.sleep(0.1)

        async def until(expected: int) -> None:
            with trio.fail_after(5):
                while count < expected:  # noqa: ASYNC110 - a test waits for the world
                    await trio.sleep(0.01)

        await story(until, watcher)
        nursery.cancel_scope.cancel()
    offload.close()
    return count


def test_a_file_that_is_written_or_replaced_is_noticed(tmp_path: Path) -> None:
    store = OneFile(tmp_path / "records")
    store.path.write_text("")

    async def story(until, watcher):
        store.path.write_text("1")
        await until(1)
        (tmp_path / "new").write_text("2")
        (tmp_path / "new").rename(store.path)
        await until(2)

    assert trio.run(_changes, store, story) == 2


def test_a_burst_of_writes_is_one_change(tmp_path: Path) -> None:
    store = OneFile(tmp_path / "records")
    store.path.write_text("")

    async def story(until, watcher):
        for number in range(50):
            store.path.write_text(str(number + 1))
        await until(1)
        await trio.sleep(0.2)

    assert trio.run(_changes, store, story) <= 2
    assert store.text == "50"


def test_other_files_of_the_directory_do_not_matter(tmp_path: Path) -> None:
    store = OneFile(tmp_path / "records")
    store.path.write_text("")

    async def story(until, watcher):
        (tmp_path / "other").write_text("x")
        await trio.sleep(0.3)

    assert trio.run(_changes, store, story) == 0
    assert store.taken == 0


def test_our_own_change_is_looked_at_when_said(tmp_path: Path) -> None:
    store = OneFile(tmp_path / "records")
    store.path.write_text("")

    async def story(until, watcher):
        watcher.poke()
        with trio.fail_after(5):
            while not store.taken:  # noqa: ASYNC110 - a test waits for the world
                await trio.sleep(0.01)

    assert trio.run(_changes, store, story) == 0


def test_a_store_that_cannot_be_read_for_a_while_is_seen_again(tmp_path: Path) -> None:
    store = OneFile(tmp_path / "records")
    store.path.write_text("")

    async def story(until, watcher):
        store.path.write_text("damaged")
        await trio.sleep(0.3)
        store.path.write_text("whole")
        await until(1)

    assert trio.run(_changes, store, story) == 1


@pytest.mark.parametrize("has_inotify", [True, False])
def test_a_change_that_could_not_be_read_is_read_later_though_nothing_else_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, has_inotify: bool
) -> None:
    store = OneFile(tmp_path / "records")
    store.path.write_text("")
    monkeypatch.setattr(watch, "_POLL", 0.02)
    monkeypatch.setattr(watch, "_SECOND_LOOK", 0.02)
    if not has_inotify:
        monkeypatch.setattr(watch, "_open_inotify", lambda: None)

    async def story(until, watcher):
        store.locked = True
        store.path.write_text("1")
        with trio.fail_after(5):
            while store.taken < 3:  # noqa: ASYNC110 - a test waits for the world
                await trio.sleep(0.01)
        store.locked = False
        await until(1)

    assert trio.run(_changes, store, story) == 1


def test_a_directory_that_comes_later_is_found(tmp_path: Path) -> None:
    store = OneFile(tmp_path / "later" / "records")

    async def story(until, watcher):
        store.path.parent.mkdir()
        store.path.write_text("1")
        await until(1)

    assert trio.run(_changes, store, story) == 1


def test_without_inotify_changes_are_found_by_stat(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = OneFile(tmp_path / "records")
    store.path.write_text("")
    monkeypatch.setattr(watch, "_open_inotify", lambda: None)

    async def story(until, watcher):
        store.path.write_text("1")
        await until(1)

    assert trio.run(_changes, store, story) == 1
