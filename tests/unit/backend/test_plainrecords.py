"""What is taken out of a record file as it is, is what would be written."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.codec import plainrecords, recordfiles
from backend.codec.fields import CONTAINER, LAYER
from backend.codec.gojson import MalformedError
from backend.model.records import Container, ContainerID, Layer
from drivers.idmap.maps import IDMap
from drivers.ids import LayerID

texts = st.text(st.sampled_from("aZ09 -:/~[]{},'"), max_size=5)
numbers = st.integers(-1, 2**40)
layers = st.fixed_dictionaries(
    {
        "id": texts.filter(bool).map(LayerID),
        "names": st.lists(texts, max_size=3).map(tuple),
        "parent": st.none() | texts.filter(bool).map(LayerID),
        "metadata": texts,
        "diff_size": numbers,
        "compression": st.integers(0, 4),
        "uidset": st.lists(st.integers(0, 2**32 - 1), max_size=3).map(tuple),
        "gid_map": st.lists(st.builds(IDMap, numbers, numbers, numbers), max_size=2).map(tuple),
        "big_data_names": st.lists(texts, max_size=2).map(tuple),
    }
).map(lambda members: Layer(**members))


@given(st.lists(layers, max_size=4))
def test_plain_records_are_cut_where_they_would_be_joined(records: list[Layer]) -> None:
    data = recordfiles.LAYERS.encode(records)
    assert plainrecords.cut(data, LAYER) == list(map(recordfiles.LAYERS.encode_record, records))


PLAIN = recordfiles.LAYERS.encode(
    [Layer(id=LayerID("a"), names=("n", "m"), diff_size=7, uidset=(0, 3)), Layer(id=LayerID("b"))]
)


@given(
    st.integers(0, len(PLAIN)),
    st.integers(0, 12),
    st.text(st.sampled_from('",:{}[]0a-\\ '), max_size=4),
)
def test_what_was_tampered_with_is_cut_only_if_it_is_still_as_it_would_be_written(
    place: int, length: int, text: str
) -> None:
    data = PLAIN[:place] + text.encode() + PLAIN[place + length :]
    found = plainrecords.cut(data, LAYER)
    try:
        decoded = recordfiles.LAYERS.decode(data)
    except MalformedError:
        assert found is None
        return
    if found is not None and not decoded.bad:
        assert recordfiles.LAYERS.encode(decoded.records) == data
        assert len(found) == len(decoded.records)


@pytest.mark.parametrize(
    "record",
    [
        b'{"id":"a", "created":"2026-01-01T00:00:00Z"}',
        b'{"created":"2026-01-01T00:00:00Z","id":"a"}',
        b'{"id":"a","id":"b","created":"2026-01-01T00:00:00Z"}',
        b'{"id":"a","names":null,"created":"2026-01-01T00:00:00Z"}',
        b'{"id":"a","names":[],"created":"2026-01-01T00:00:00Z"}',
        b'{"id":"a","parent":"","created":"2026-01-01T00:00:00Z"}',
        b'{"id":"a","created":"2026-01-01T00:00:00Z","diff-size":0}',
        b'{"id":"a","created":"2026-01-01T00:00:00Z","diff-size":07}',
        b'{"id":"a","created":"2026-01-01T00:00:00Z","diff-size":7.0}',
        b'{"id":"a","names":["\\u0061"],"created":"2026-01-01T00:00:00Z"}',
        b'{"id":"a","names":["<"],"created":"2026-01-01T00:00:00Z"}',
        b'{"id":"a","names":["\xc3\xa4"],"created":"2026-01-01T00:00:00Z"}',
        b'{"ID":"a","created":"2026-01-01T00:00:00Z"}',
        b'{"id":"a","created":"2026-01-01T00:00:00Z","flags":{"b":1,"a":2}}',
        b'{"id":"a","created":"2026-01-01T00:00:00Z","unknown":1}',
        b'{"id":"a"}',
    ],
)
def test_one_record_that_may_be_written_otherwise_spoils_the_file(record: bytes) -> None:
    assert plainrecords.cut(b"[%b,%b]" % (PLAIN[1:-1], record), LAYER) is None
    assert plainrecords.cut(PLAIN + b"\n", LAYER) is None


def test_a_container_is_plain_without_maps_of_data() -> None:
    box = Container(id=ContainerID("c"), layer=LayerID("l"), image="i")
    data = recordfiles.CONTAINERS.encode([box])
    assert plainrecords.cut(data, CONTAINER) == [data[1:-1]]
    with_data = recordfiles.CONTAINERS.encode([box._replace(big_data_sizes={"k": 1})])
    assert plainrecords.cut(with_data, CONTAINER) is None
