"""Which file a data item lives in."""

import pytest

from backend.codec.bigdataname import file_name
from backend.errors import InvalidValueError


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("manifest", "manifest"),
        ("sha256:00", "=c2hhMjU2OjAw"),
        ("manifest-sha256:abc", "=bWFuaWZlc3Qtc2hhMjU2OmFiYw=="),
        ("zstd-chunked-manifest", "=enN0ZC1jaHVua2VkLW1hbmlmZXN0"),
        ("a-b", "=YS1i"),
        ("tail-", "tail-"),
        ("é", "é"),
        ("éa", "=w6lh"),
        ("A", "A"),
        ("AA", "=QUE="),
        ("a\udcff", "a\udcff"),
    ],
)
def test_the_scan_stops_after_the_first_odd_character(key: str, name: str) -> None:
    assert file_name(key) == name


@pytest.mark.parametrize("key", ["", ".", "..", "a/", "/", "???>>>", "x" * 256, "Ä" * 120])
def test_a_key_that_would_lead_elsewhere_is_refused(key: str) -> None:
    with pytest.raises(InvalidValueError):
        file_name(key)
