"""Go's times."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.codec import gotime


@given(st.integers(0, 4_000_000_000 * 10**9))
def test_nanoseconds_come_back(moment: int) -> None:
    text = gotime.from_nanoseconds(moment)
    assert gotime.is_valid(text)
    assert gotime.to_nanoseconds(text) == moment


@given(st.integers(1, 3_652_058 * 86_400 * 10**6))
def test_microseconds_agree_with_the_standard_library(since_year_1: int) -> None:
    moment = datetime.min.replace(tzinfo=UTC) + timedelta(microseconds=since_year_1)
    since = moment - datetime(1970, 1, 1, tzinfo=UTC)
    expected = since // timedelta(microseconds=1) * 1000
    assert gotime.to_nanoseconds(moment.isoformat()) == expected


@pytest.mark.parametrize(
    "text",
    [
        "2026-02-29T00:00:00Z",
        "2026-13-01T00:00:00Z",
        "2026-01-32T00:00:00Z",
        "2026-01-01T24:00:00Z",
        "2026-01-01 00:00:00Z",
        "2026-01-01T00:00:00",
        "yesterday",
        "",
    ],
)
def test_what_go_would_refuse_is_no_time(text: str) -> None:
    assert not gotime.is_valid(text)


def test_leap_days_and_zones_are_times() -> None:
    assert gotime.is_valid("2024-02-29T23:59:59.123456789+05:30")
    assert gotime.to_nanoseconds("1970-01-01T01:00:00.5+01:00") == 500_000_000


def test_the_zero_time_is_unset() -> None:
    assert gotime.is_valid(gotime.ZERO)
    assert gotime.to_nanoseconds(gotime.ZERO) is None


def test_zeros_at_the_end_of_the_fraction_are_dropped() -> None:
    assert gotime.from_nanoseconds(1_500_000_000) == "1970-01-01T00:00:01.5Z"
    assert gotime.from_nanoseconds(2_000_000_000) == "1970-01-01T00:00:02Z"
