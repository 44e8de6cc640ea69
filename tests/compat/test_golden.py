"""Record files of other writers come back byte for byte, and say what they said."""

import json
from pathlib import Path
from typing import Any

import pytest

from backend.codec import recordfiles
from backend.codec.recordfiles import Format

GOLDEN = Path(__file__).parents[1] / "golden"
FORMATS: dict[str, Format[Any]] = {
    "layers.json": recordfiles.LAYERS,
    "volatile-layers.json": recordfiles.LAYERS,
    "images.json": recordfiles.IMAGES,
    "containers.json": recordfiles.CONTAINERS,
    "volatile-containers.json": recordfiles.CONTAINERS,
    "mountpoints.json": recordfiles.MOUNT_POINTS,
}
FILES = sorted(GOLDEN.rglob("*.json"))


def named(path: Path) -> str:
    return str(path.relative_to(GOLDEN))


def records(path: str) -> Any:
    file = GOLDEN / path
    return FORMATS[file.name].decode(file.read_bytes()).records


def test_there_are_golden_files_of_every_kind() -> None:
    assert {path.name for path in FILES} == set(FORMATS)


@pytest.mark.parametrize("path", FILES, ids=named)
def test_the_file_comes_back_byte_for_byte(path: Path) -> None:
    raw = path.read_bytes()
    decoded = FORMATS[path.name].decode(raw)
    assert decoded.bad == ()
    assert FORMATS[path.name].encode(decoded.records) == raw


@pytest.mark.parametrize("path", FILES, ids=named)
def test_every_record_is_there_in_its_order(path: Path) -> None:
    ids = [entry["id"] for entry in json.loads(path.read_bytes())]
    assert [record.id for record in FORMATS[path.name].decode(path.read_bytes()).records] == ids


def test_text_with_every_escape_means_the_same() -> None:
    _, child, *_ = records("layers/graph/overlay-layers/layers.json")
    assert child.metadata.startswith('<a href="x">& \u2028\u2029 tab\t newline\n \\ é 😀 \x7f\x01')
    assert child.big_data_names == ("plain.key", "Key-With:Odd=Parts")
    assert child.mount_label == "system_u:object_r:file_t:s0:c1,c2"


def test_maps_and_flags_of_containers_are_read() -> None:
    plain, shifted, volatile, without_image = records(
        "containers/graph/overlay-containers/containers.json"
    )
    assert plain.names == ("plain", "second-name")
    assert plain.big_data_sizes == {"Data:Key": 22}
    assert [m.host_id for m in shifted.uid_map] == [100_000]
    assert volatile.flags["Volatile"] is True
    assert without_image.image == ""


def test_a_counted_mount_is_read() -> None:
    (point,) = records("containers/run/overlay-layers/mountpoints.json")
    assert (point.count, point.path.endswith("/merged")) == (2, True)


def test_what_newer_writers_add_is_kept_and_read() -> None:
    base, partial, newest = records("newer-writers/graph/overlay-layers/layers.json")
    assert (base.compression, base.gidset) == (4, (1000, 0))
    assert partial.toc_digest.startswith("sha256:")
    assert partial.diff_size == -1
    assert newest.flags["half"] == 0.5
    assert newest.extra["an-unknown-member"] == {"z": 1, "a": [2.5, "<tag>"]}
    image, _ = records("newer-writers/graph/overlay-images/images.json")
    assert image.names_history[-1] == "docker.io/library/newer:1"
    (container,) = records("newer-writers/graph/overlay-containers/containers.json")
    assert container.extra == {"from-the-future": []}
