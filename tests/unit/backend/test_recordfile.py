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


KINDS = ["add", "drop", "change", "odd", "move", "load", "other"]
changes = st.lists(st.tuples(st.sampled_from(KINDS), st.integers(0, 20)), max_size=12)


@settings(max_examples=60, deadline=None)
@given(changes)
def test_the_file_is_always_what_encoding_all_records_gives(steps: list[tuple[str, int]]) -> None:
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "layers.json")
        file, other = (RecordFile(str(path), recordfiles.LAYERS, durable=False) for _ in "ab")
        file.write(layers("a", "b", "c"))
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
                case "odd" if records:  # no plain text
                    records[place] = records[place]._replace(metadata="<&>")
                case "load":
                    assert list(file.read().records) == records
                    records = list(file.read().records)
                case "other":  # another process goes on with it
                    file, other = other, file
                    assert list(file.read().records) == records
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


def test_what_another_process_left_alone_is_not_decoded_again(tmp_path: Path) -> None:
    path = str(tmp_path / "layers.json")
    ours, theirs = (RecordFile(path, recordfiles.LAYERS) for _ in "ab")
    ours.write(layers("a", "b", "c", "d"))
    a, b, c, d = ours.read().records
    theirs.read()
    theirs.write((a, c._replace(names=("n",)), d, *layers("e")))
    seen = ours.read(location="here").records
    assert [record.id for record in seen] == ["a", "c", "d", "e"]
    assert seen[0] is a
    assert seen[1] == c._replace(names=("n",), location="here")
    assert b not in seen


def test_a_record_that_another_process_damaged_is_told_with_its_place(tmp_path: Path) -> None:
    path = tmp_path / "layers.json"
    file = RecordFile(str(path), recordfiles.LAYERS)
    file.write(layers("a", "b", "c"))
    whole = path.read_bytes()
    path.write_bytes(whole.replace(b'"id":"b","created":"', b'"id":"b","created":"soon'))
    (bad,) = file.read().bad
    assert (bad.place, bad.id) == (1, "b")
    path.write_bytes(whole)
    assert [record.id for record in file.read().records] == ["a", "b", "c"]
