"""What a new process finds in a store whose last user was cut off, and whether that is right.

Used by: tests.support.crashlives, tests.support.crashmount. Knows nothing of: how it was cut off.
"""

import os
import re
import traceback
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

from backend import Store, StoreOptions, open_store
from backend.model.findings import Depth, Fault
from drivers.errors import StorageError
from tests.support import gotools, mounttable, process
from tests.support.crashoperations import Operation
from tests.support.crashstore import DOOMED, FAR_IMAGE, FAR_LAYER, HIGH, LOW, NEW, View, roles, view

READ: Final = frozenset(f"layer {layer}" for layer in (LOW, HIGH, DOOMED, NEW))
"""Layers that a Go tool must be able to put together as they came."""


class Seen(NamedTuple):
    """What a new process finds, and what is there when it has gone on."""

    first: View
    faults: list[str]
    last: View
    last_faults: list[str]
    files: list[str]
    retried: str


def look(base: str, place: StoreOptions, operation: Operation, after: View | None) -> Seen:
    """Open the store, look, go on where the operation is not done, write once more, look."""
    with open_store(place) as store:
        first, wrong = view(store), faults(store, operation.halves)
        retried = ""
        if after is not None and (first != after or operation.unseen):
            retried = _retried(operation, store)
    with open_store(place) as store:
        write_everywhere(store)
    with open_store(place) as store:
        last = view(store)
        return Seen(first, wrong, last, faults(store), _files(base, store), retried)


def _retried(operation: Operation, store: Store) -> str:
    try:
        operation.retry(store)
    except (StorageError, OSError):
        return traceback.format_exc()
    return ""


def faults(store: Store, halves: frozenset[Fault] = frozenset()) -> list[str]:
    """What the check finds, but for *halves* and for what harms nobody."""
    return [
        f"{found.kind} {found.id[:8]}: {found.fault.value}: {found.path}: {found.reason}"
        for found in store.check(Depth.FILES).findings
        if not found.is_note and found.fault not in halves
    ]


def write_everywhere(store: Store) -> None:
    """What the next writer of each kind does, and its sweep."""
    layer = store.layers.create()
    image = store.images.create(layer=layer.id)
    container = store.containers.create(image=image.id)
    store.mounts.mount(container.id)
    store.mounts.unmount(container.id)
    store.containers.delete(container.id)
    store.images.delete(image.id)


def _files(base: str, store: Store) -> list[str]:
    """Every path of the store, and every mount; what is named at random has another name."""
    named = roles(store.snapshot())
    found = []
    for directory, names, files in os.walk(base):
        for name in (*names, *files):
            path = os.path.relpath(os.path.join(directory, name), base)
            for made_up, role in named.items():
                path = path.replace(made_up, role)
            if not path.endswith(".lock") and "/merged/" not in path:
                found.append(re.sub(r"/l/[A-Z0-9]{26}$", "/l/*", path))
    return sorted(found) + sorted(mount.target for mount in mounttable.below(base))


def differences(expected: list[str], found: list[str]) -> list[str]:
    """What there is more or less often than it should be."""
    more, less = Counter(found) - Counter(expected), Counter(expected) - Counter(found)
    return sorted((more + less).elements())


def judge(
    operation: Operation, before: View, whole: Seen, seen: Seen, *, acknowledged: bool
) -> list[str]:
    """What is wrong with what was *seen*: beside the store *before*, and after a *whole* life."""
    wrong = list(seen.faults)
    if odd := neither(seen.first, before, whole.first, operation.changing):
        wrong.append(f"neither old nor new: {odd}")
    if acknowledged and seen.first != whole.first:
        wrong.append("what was acknowledged is lost")
    if seen.retried:
        wrong.append(f"going on: {seen.retried}")
    elif seen.last != whole.last:
        wrong.append(f"going on does not lead there: {neither(seen.last, whole.last, whole.last)}")
    return wrong + [f"at last: {text}" for text in seen.last_faults]


def neither(now: View, before: View, after: View, changing: str = "") -> list[str]:
    """Objects that are neither as before nor as after; how often one is mounted is a hint."""
    keys = {key for key in {**now, **before, **after} if not key.startswith("mount ")}
    return sorted(
        f"{key[:18]}: {now.get(key)}"
        for key in keys
        if now.get(key) not in (before.get(key), after.get(key))
        and not (changing and key.startswith(changing))
    )


def by_go_tools(base: str, driver: str) -> Callable[[View], list[str]]:
    """Let the Go tools list, mount and read the store; return what compares that with a view."""
    try:
        return _read_by_go_tools(base, driver)
    except process.CommandError as failed:
        said = str(failed)
        return lambda _: [f"the Go tools fail: {said}"]


def _read_by_go_tools(base: str, driver: str) -> Callable[[View], list[str]]:
    go = gotools.GoTools(gotools.Roots(Path(base, "graph"), Path(base, "run")), driver, timeout=30)
    found = [
        f"{kind} {each['id']}"
        for kind in ("layer", "image", "container")
        for each in go.storage_json(f"{kind}s", "--json")
    ]
    for key in found:
        if key in READ:
            go.storage("diff", key.partition(" ")[2])
    if f"layer {HIGH}" in found:
        os.listdir(go.storage("mount", HIGH).strip())
        go.storage("unmount", HIGH)
    short = "--all", "--quiet", "--no-trunc"
    listed = [("image", each) for each in go.podman("images", *short).split()]
    listed += [("container", each) for each in go.podman("ps", "--external", *short).split()]
    go.buildah("images", "--all")

    def compared(seen: View) -> list[str]:
        ours = {key for key in seen if not key.startswith("mount ")}
        told = {*found, *(f"{kind} {each.removeprefix('sha256:')}" for kind, each in listed)}
        strange = sorted(told - ours)
        copies = [key for key in ours if "copy" in key]  # their IDs are not in a view
        wrong = [] if len(strange) == len(copies) else [f"the Go tools see {strange}"]
        lost = ours - {f"image {FAR_IMAGE}", f"layer {FAR_LAYER}", *copies} - set(found)
        return wrong + [f"the Go tools do not see {each}" for each in sorted(lost)]

    return compared
