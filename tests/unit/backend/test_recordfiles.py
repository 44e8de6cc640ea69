"""Records as bytes: what the golden files do not hold."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.codec import recordfiles
from backend.codec.gojson import MalformedError
from backend.model.records import Image, ImageID, Layer
from drivers.idmap.maps import IDMap
from drivers.ids import LayerID

texts = st.text(st.characters(exclude_categories=("Cs",)), max_size=20)
maps = st.tuples(st.integers(0, 9), st.integers(0, 9), st.integers(0, 9))
layers = st.fixed_dictionaries(
    {
        "id": texts.filter(bool).map(LayerID),
        "names": st.lists(texts).map(tuple),
        "parent": st.none() | texts.filter(bool).map(LayerID),
        "metadata": texts,
        "diff_size": st.integers(-1, 2**40),
        "uidset": st.lists(st.integers(0, 2**32 - 1)).map(tuple),
        "flags": st.dictionaries(texts, st.booleans() | texts | st.integers(0, 2**53)),
        "uid_map": st.lists(maps.map(lambda m: IDMap(*m))).map(tuple),
    }
).map(lambda members: Layer(**members))


@given(st.lists(layers, max_size=4))
def test_layers_come_back(records: list[Layer]) -> None:
    data = recordfiles.LAYERS.encode(records)
    decoded = recordfiles.LAYERS.decode(data)
    assert decoded == (tuple(records), ())
    assert recordfiles.LAYERS.encode(decoded.records) == data


def test_unknown_members_return_to_their_places() -> None:
    data = (
        b'[{"first":{"z":1,"a":[]},"id":"x","after-id":null,"created":"2026-01-01T00:00:00Z",'
        b'"lower-layers":"a:b","diff-size":3,"flags":{"a":1},"last":"<"}]'
    ).replace(b"<", b"\\u003c")
    (layer,) = recordfiles.LAYERS.decode(data).records
    assert layer.extra == {
        "first": {"z": 1, "a": []},
        "after-id": None,
        "lower-layers": "a:b",
        "last": "<",
    }
    assert recordfiles.LAYERS.encode([layer]) == data
    named = recordfiles.LAYERS.encode([layer._replace(names=("n",))])
    assert named.index(b"after-id") < named.index(b'"names"') < named.index(b"lower-layers")


def test_names_of_members_match_in_any_case_and_null_is_the_zero_value() -> None:
    data = b'[{"ID":"x","Names":null,"PARENT":"","Diff-Size":null,"created":null}]'
    assert recordfiles.LAYERS.decode(data).records == (Layer(id=LayerID("x")),)


@pytest.mark.parametrize("data", [b"", b"null", b"[]"])
def test_nothing_is_no_records(data: bytes) -> None:
    assert recordfiles.IMAGES.decode(data) == ((), ())


@pytest.mark.parametrize("data", [b"{}", b"7", b'"x"'])
def test_another_kind_of_file_is_refused(data: bytes) -> None:
    with pytest.raises(MalformedError, match="array"):
        recordfiles.IMAGES.decode(data)


@pytest.mark.parametrize(
    ("member", "reason"),
    [
        (b'"names":"a"', "'names': an array was expected, not a string"),
        (b'"names":[1]', "'names': a string was expected, not a number"),
        (b'"created":"soon"', "'created': 'soon' is no time"),
        (b'"big-data-sizes":{"a":1.5}', "'big-data-sizes': a whole number"),
        (b'"big-data-sizes":{"a":true}', "not true or false"),
        (b'"flags":[]', "'flags': an object was expected"),
    ],
)
def test_a_record_that_cannot_be_understood_does_not_hide_the_others(
    member: bytes, reason: str
) -> None:
    data = b'[{"id":"good"},{"id":"bad",' + member + b'},{"id":"fine"},3,{"names":["x"]}]'
    decoded = recordfiles.IMAGES.decode(data)
    assert decoded.records == (Image(id=ImageID("good")), Image(id=ImageID("fine")))
    first, second, third = decoded.bad
    assert (first.place, first.id) == (1, "bad")
    assert reason in first.reason
    assert (second.place, second.reason) == (3, "an object was expected")
    assert third.reason == "it has no id"
