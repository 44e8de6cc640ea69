"""JSON as the Go tools spell it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.codec import gojson
from backend.codec.gojson import MalformedError

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(JSON)
def test_every_value_comes_back(value: object) -> None:
    assert gojson.decode(gojson.encode(value)) == value


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_every_number_comes_back(value: float) -> None:
    assert float(gojson.decode(gojson.encode(value))) == value


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (1.0, b"1"),
        (0.5, b"0.5"),
        (-0.0, b"-0"),
        (1e20, b"100000000000000000000"),
        (1e21, b"1e+21"),
        (1.5e300, b"1.5e+300"),
        (1e-6, b"0.000001"),
        (1.5e-7, b"1.5e-7"),
        (1e-10, b"1e-10"),
        (123456789.125, b"123456789.125"),
    ],
)
def test_numbers_are_spelt_as_go_spells_float64(number: float, text: bytes) -> None:
    assert gojson.encode(number) == text


def test_text_is_escaped_as_go_escapes_it() -> None:
    assert (
        gojson.encode('<a> & "\\ \n\r\t\b\f\x01\x7f\u2028\u2029 é')
        == (
            '"\\u003ca\\u003e \\u0026 \\"\\\\ \\n\\r\\t\\u0008\\u000c\\u0001\x7f\\u2028\\u2029 é"'
        ).encode()
    )


def test_members_are_in_byte_order_unless_they_are_to_stay() -> None:
    assert gojson.encode({"b": 1, "é": 2, "a": {"d": 3, "c": 4}}) == (
        '{"a":{"c":4,"d":3},"b":1,"é":2}'.encode()
    )
    assert gojson.encode_text({"b": 1, "a": 2}, sort=False) == '{"b":1,"a":2}'


def test_bytes_that_are_no_utf8_survive() -> None:
    assert gojson.encode(gojson.decode(b'["a\xff\xc3"]')) == b'["a\xff\xc3"]'


def test_half_of_a_pair_in_an_escape_becomes_the_replacement_character() -> None:
    assert gojson.decode(rb'["\ud800x", "\ud83d\ude00"]') == ["\ufffdx", "😀"]


def test_half_of_a_pair_beside_broken_bytes_never_becomes_a_byte() -> None:
    assert gojson.decode(b'["\\udcff", "\xff"]') == ["\ufffd", "\ufffd"]


@pytest.mark.parametrize(
    ("data", "position", "reason"),
    [
        (b'[{"id":"a"},\0\0\0', 12, "3 NUL bytes"),
        (b'[{"id":"a"', 10, "truncated"),
        (b'["\xc3\xa9" x]', 6, "delimiter"),
        (b"[NaN]", 0, "NaN"),
        (b"[" * 100_000, 0, "deeply"),
    ],
)
def test_damage_is_named_with_its_place(data: bytes, position: int, reason: str) -> None:
    with pytest.raises(MalformedError, match=reason) as caught:
        gojson.decode(data)
    assert caught.value.position == position
