"""Lengths of time as Go writes them."""

import pytest

from backend.codec import goduration


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0", 0), ("24h", 86400), ("1h30m", 5400), ("1.5s", 1.5), ("300ms", 0.3), ("-2m", -120),
        ("+1s", 1), (".5h", 1800), ("1.h", 3600), ("2us3ns", 0.000002003), ("1\u00b5s", 0.000001),
        ("1m1h", 3660),
    ],
)  # fmt: skip
def test_what_go_reads_is_read(text: str, expected: float) -> None:
    assert goduration.seconds(text) == pytest.approx(expected)


@pytest.mark.parametrize(
    "text",
    ["", "1", "h", "1d", "1h ", " 1h", "1,5h", "--1h", ".h", "1e3s", "٣h", "9999999999h", "-"],
)
def test_what_go_refuses_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no length of time"):
        goduration.seconds(text)
