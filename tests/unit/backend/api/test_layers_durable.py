"""Before a layer is declared present, its content and every name of it is on stable storage."""

import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from backend import Store, StoreOptions, open_store
from drivers.linux import atomicfile
from tests.support.layertars import BASE, TOP

pytestmark = pytest.mark.root


class Step(NamedTuple):
    """``flush`` of a file system, ``sync`` of a file or directory, ``rename`` to a path."""

    what: str
    path: str


class Trace:
    """The real calls, written down in their order."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.steps: list[Step] = []
        self._note(monkeypatch, os, "rename", "rename", lambda words: words[1])
        for name in ("fsync", "fdatasync"):
            self._note(
                monkeypatch,
                os,
                name,
                "sync",
                lambda words: os.readlink(f"/proc/self/fd/{words[0]}"),
            )
        self._note(monkeypatch, atomicfile, "sync_filesystem", "flush", lambda words: words[0])

    def _note(
        self,
        monkeypatch: pytest.MonkeyPatch,
        module: Any,
        name: str,
        what: str,
        path: Callable[[tuple[Any, ...]], str],
    ) -> None:
        real = getattr(module, name)

        def noted(*words: Any, **named: Any) -> Any:
            self.steps.append(Step(what, os.fspath(path(words))))
            return real(*words, **named)

        monkeypatch.setattr(module, name, noted)


def declared(steps: list[Step], options: StoreOptions) -> int:
    """The place of the last change of the record file."""
    records = f"{options.graph_root}/{options.driver}-layers/layers.json"
    return max(place for place, step in enumerate(steps) if step == ("rename", records))


def unsafe_renames(steps: list[Step], options: StoreOptions) -> list[str]:
    """What got its name before the layer was declared present, and was not durable by then."""
    end = declared(steps, options)
    trash = f"{options.graph_root}/{options.driver}-layers/tmp/"
    renamed = {
        step.path: place
        for place, step in enumerate(steps[:end])
        if step.what == "rename" and not step.path.startswith(trash)
    }
    assert renamed
    return [
        path
        for path, place in renamed.items()
        if Step("sync", os.path.dirname(path)) not in steps[place:end]
    ]


def test_an_archive_is_flushed_before_its_layer_is_declared_present(
    store: Store, options: StoreOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.layers.put(io.BytesIO(BASE), names=["base"])
    trace = Trace(monkeypatch)
    layer = store.layers.put(io.BytesIO(TOP), names=["top"], parent="base")
    kinds = [step.what for step in trace.steps]
    content = Step("rename", store.driver.diff_directory(layer.id))
    tar_split = Step("rename", store.paths.tar_split(layer.id))
    assert kinds.index("flush") < trace.steps.index(content) < trace.steps.index(tar_split)
    assert trace.steps.index(tar_split) < declared(trace.steps, options)
    assert unsafe_renames(trace.steps, options) == []


def test_an_applied_archive_is_flushed_between_two_records(
    store: Store, options: StoreOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.layers.put(io.BytesIO(BASE), names=["base"])
    trace = Trace(monkeypatch)
    store.layers.apply_diff("base", io.BytesIO(BASE))
    records = Step("rename", f"{options.graph_root}/{options.driver}-layers/layers.json")
    kinds = [step.what for step in trace.steps]
    assert trace.steps.index(records) < kinds.index("flush") < declared(trace.steps, options)
    assert unsafe_renames(trace.steps, options) == []


@pytest.mark.overlay
@pytest.mark.parametrize("options", ["overlay"], indirect=True)
def test_an_archive_for_an_empty_layer_is_flushed_before_its_files_get_their_places(
    store: Store, options: StoreOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    layer = store.layers.create(names=["empty"])
    trace = Trace(monkeypatch)
    store.layers.apply_diff("empty", io.BytesIO(BASE))
    diff = store.driver.diff_directory(layer.id)
    placed = [place for place, step in enumerate(trace.steps) if step == ("rename", f"{diff}/usr")]
    kinds = [step.what for step in trace.steps]
    assert kinds.index("flush") < placed[0] < declared(trace.steps, options)
    assert unsafe_renames(trace.steps, options) == []


def test_an_empty_layer_needs_no_flush_of_all_that_others_wrote(
    store: Store, options: StoreOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.layers.put(io.BytesIO(BASE), names=["base"])
    trace = Trace(monkeypatch)
    layer = store.layers.create(parent="base")
    copies = options.driver == "vfs"
    assert ("flush" in [step.what for step in trace.steps]) is copies
    before = trace.steps[: declared(trace.steps, options)]
    above = Path(store.driver.diff_directory(layer.id)).parent
    assert Step("sync", str(above)) in before
    if copies:
        assert unsafe_renames(trace.steps, options) == []
    else:
        files = [str(path) for path in above.iterdir() if path.is_file()]
        assert files
        assert [path for path in files if Step("sync", path) not in before] == []


def test_a_store_may_be_set_to_flush_no_file_systems(
    options: StoreOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_store(options._replace(sync="none")) as store:
        trace = Trace(monkeypatch)
        store.layers.put(io.BytesIO(BASE), names=["base"])
        store.layers.apply_diff("base", io.BytesIO(BASE))
        store.layers.create(parent="base")
    assert "flush" not in [step.what for step in trace.steps]
