"""The small texts between overlay layers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.errors import UnsafeNameError
from drivers.overlay import lowers

SHORT = "D7PQEMY2CWYLA6JPEPVMHWMNHA"
OTHER = "2CBB3RB7EI2W7DGF7MSR4IGP57"


def test_a_chain_is_read_as_it_was_written() -> None:
    text = f"l/{OTHER}:l/{SHORT}"
    assert lowers.parse_lower(text) == (OTHER, SHORT)
    assert lowers.format_lower((OTHER, SHORT)) == text
    assert lowers.parse_lower(text + "\n") == (OTHER, SHORT)


def test_a_new_short_name_is_one_and_never_the_same() -> None:
    names = {lowers.new_short_name() for _ in range(100)}
    assert len(names) == 100
    assert all(lowers.parse_short_name(name) == name for name in names)


@pytest.mark.parametrize(
    "text", ["", "l", "l/", f"m/{SHORT}", f"l/{SHORT}:", f"/l/{SHORT}", "l/..", f"l/{SHORT}/x"]
)
def test_anything_else_is_no_chain(text: str) -> None:
    with pytest.raises(UnsafeNameError):
        lowers.parse_lower(text)


@pytest.mark.parametrize(
    "target",
    ["", "/etc", "../x", "../../diff", "../../x/diff", "../x/diff/", ".././diff", "../l/diff"],
)
def test_a_link_leads_to_a_layer_or_is_refused(target: str) -> None:
    with pytest.raises(UnsafeNameError):
        lowers.parse_target(target)
    assert lowers.parse_target("../abc/diff") == "abc"


@given(st.text())
def test_no_text_becomes_a_path_that_leads_out(text: str) -> None:
    try:
        names = lowers.parse_lower(text)
    except UnsafeNameError:
        return
    assert all(name.isalnum() and len(name) == 26 for name in names)
