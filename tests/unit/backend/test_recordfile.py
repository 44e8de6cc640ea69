"""Rewriting a record file: what did not change is written as it was, without being encoded."""

import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from backend.codec import recordfiles
from backend.files.recordfile import RecordFile
from backend.model.records import Layer
from drivers.ids import LayerID

ODD = b'[{"id":"\\u0061","names":null,"created":"2026-01-01T00:00:00Z"}, {"ID":"b"}]'


def layers(*names: str) -> tuple[Layer, ...]:
    return tuple(Layer(id=LayerID(name)) for name in names)


changes = st.lists(
    st.tuples(st.sampled_from(["add", "drop", "change", "move", "load"]), st.integers(0, 20)),
    max_size=12,
)


@settings(max_examples=60, deadline=None)
@given(changes)
def test_the_file_is_always_what_encoding_all_records_gives(steps: list[tuple[str, int]]) -> None:
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "layers.json")
        file = RecordFile(str(path), recordfiles.LAYERS, durable=False)
        records = list(layers("a", "b", "c"))
        for count, (what, number) in enumerate(steps):
            place = number % len(records) if records else 0
            match what:
                case "add":
                    records.append(Layer(id=LayerID(f"n{count}")))
                case "drop" if records:
                    del records[place]
                case "change" if records:
                    records[place] = records[place]._replace(metadata=f"m{count}")
                case "move" if records:
                    records.append(records.pop(place))
                case "load":
                    records = list(file.read().records)
            file.write(tuple(records))
            assert path.read_bytes() == recordfiles.LAYERS.encode(records)


def test_what_others_wrote_otherwise_is_written_as_the_go_tools_would(tmp_path: Path) -> None:
    path = tmp_path / "layers.json"
    path.write_bytes(ODD)
    file = RecordFile(str(path), recordfiles.LAYERS)
    records = file.read().records
    file.write(records)
    assert path.read_bytes() == recordfiles.LAYERS.encode(records) != ODD


def test_an_emptied_file_leaves_nothing_of_what_it_held(tmp_path: Path) -> None:
    path = tmp_path / "layers.json"
    file = RecordFile(str(path), recordfiles.LAYERS)
    file.write(layers("a", "b"))
    path.write_bytes(b"")
    assert file.read().records == ()
    file.write(new := layers("c"))
    assert path.read_bytes() == recordfiles.LAYERS.encode(new)
