"""Four processes of ours and four of the Go command work on one store: no update is lost."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from backend import Store, open_store
from backend.model.findings import Depth
from drivers.archive.compression import Compression
from tests.support import layertars, process, recordcheck, smallstore
from tests.support.gotools import GoTools, Roots
from tests.support.ociimage import Entry, layer_tar
from tests.support.worker import BASE

pytestmark = [pytest.mark.root, pytest.mark.overlay, pytest.mark.gotools, pytest.mark.slow]

PROJECT = Path(__file__).parents[2]
SECONDS = 15
WORKERS = [f"{who}{number}" for who in ("ours", "theirs") for number in range(4)]


def start(name: str, roots: Roots, until: float) -> subprocess.Popen[str]:
    """A process that works on the store until then."""
    command = [sys.executable, "-m", "tests.support.worker", name[:-1], name, "overlay"]
    return subprocess.Popen(
        [*command, os.fspath(roots.graph), os.fspath(roots.run), str(until)],
        cwd=PROJECT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=process.clean_environment({"PYTHONPATH": os.fspath(PROJECT)}),
    )


def work(roots: Roots) -> dict[str, dict[str, Any]]:
    """What each worker says that it did."""
    until = time.time() + SECONDS
    workers = {name: start(name, roots, until) for name in WORKERS}
    said = {}
    try:
        for name, worker in workers.items():
            out, err = worker.communicate(timeout=SECONDS + 60)
            assert worker.returncode == 0, f"{name}: {err}"
            said[name] = json.loads(out)
    finally:
        for worker in workers.values():
            worker.kill()
    return said


def test_what_eight_writers_were_told_is_done_is_there(roots: Roots) -> None:
    with open_store(smallstore.options(roots)) as store:
        store.images.create(names=[BASE])
        said = work(roots)
        assert all(kept["turns"] for kept in said.values()), said
        for kept in said.values():
            check_kept(store, kept)
        snapshot = store.snapshot()
        assert len(snapshot.images) == 1 + sum(len(kept["images"]) for kept in said.values())
        assert len(snapshot.containers) == sum(len(kept["containers"]) for kept in said.values())
        assert len(snapshot.layers) == len(snapshot.images) - 1 + len(snapshot.containers)
        check_shared(store, said)
        report = store.check(Depth.FILES)
        assert [finding for finding in report.findings if not finding.is_note] == []
        assert set(store.layers.driver_layers()) == set(snapshot.layers.by_id)
    left = [path for path in layertars.files_of(roots.graph) if "temp" in path or ".tmp" in path]
    assert left == []
    assert recordcheck.problems(GoTools(roots)) == []


def check_shared(store: Store, said: dict[str, dict[str, Any]]) -> None:
    """The image that all change has what everybody gave it."""
    shared = store.images.find(BASE)
    assert set(shared.names) == {BASE, *(name for kept in said.values() for name in kept["names"])}
    items = {key: text for kept in said.values() for key, text in kept["items"].items()}
    assert set(shared.big_data_names) == set(items)
    for key, text in items.items():
        assert store.images.big_data(BASE, key) == text.encode()


def check_kept(store: Store, kept: dict[str, Any]) -> None:
    """Every object that a worker left is as it left it."""
    for identifier, (name, layer, content) in kept["images"].items():
        image = store.images.find(identifier)
        assert (image.names, image.layer) == ((name,), layer)
        assert store.images.big_data(identifier, "manifest") == content.encode()
        with store.layers.diff(layer, compression=Compression.NONE) as archive:
            assert b"".join(archive) == layer_tar([Entry("f", content.encode())])
    for identifier, (name, image_id, text) in kept["containers"].items():
        container = store.containers.find(identifier)
        assert (container.names, container.image, container.metadata) == ((name,), image_id, text)
        written = Path(store.driver.diff_directory(container.layer), "written")
        assert written.read_text() == text
