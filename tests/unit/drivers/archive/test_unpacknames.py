"""Where a name in an archive leads."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.archive.unpacknames import inside, is_dot, split
from drivers.errors import ArchiveError

pieces = st.lists(st.sampled_from([b"", b".", b"..", b"a", b"b", b"...", b".h", b"\xff"]))


@pytest.mark.parametrize(
    ("name", "path"),
    [
        (b"a/b", b"a/b"),
        (b"./a/b/", b"a/b"),
        (b"/a//b", b"a/b"),
        (b"//a", b"a"),
        (b"../../a", b"a"),
        (b"a/../../b", b"b"),
        (b"a/.hidden", b"a/.hidden"),
        (b"...", b"..."),
        (b"", b""),
        (b".", b""),
        (b"/", b""),
        (b"a/..", b""),
    ],
)
def test_a_name_is_a_path_below_the_root(name: bytes, path: bytes) -> None:
    assert inside(name, entry=name) == path


@given(pieces)
def test_no_name_leads_above_the_root(parts: list[bytes]) -> None:
    path = inside(b"/".join(parts), entry=b"")

    assert not {b"", b".", b".."} & set(path.split(b"/")) or path == b""
    assert path == os.path.normpath(b"/" + b"/".join(parts)).lstrip(b"/")
    assert inside(path, entry=b"") == path


@pytest.mark.parametrize(
    ("name", "reason"), [(b"a\0b", "NUL"), (b"a/" * 2048, "name too long"), (b"\0", "NUL")]
)
def test_a_name_that_no_file_can_have_is_refused(name: bytes, reason: str) -> None:
    with pytest.raises(ArchiveError, match=reason) as caught:
        inside(name, entry=b"the entry")
    assert caught.value.entry == b"the entry"


@pytest.mark.parametrize("name", [b"", b".", b"./", b"a/..", b"./."])
def test_a_dot_is_told_from_the_root_in_other_words(name: bytes) -> None:
    assert is_dot(name)
    assert not is_dot(b"/" + name)
    assert not is_dot(b"../" + name)


def test_the_last_component_is_split_off() -> None:
    assert split(b"a/b/c") == (b"a/b", b"c")
    assert split(b"a") == (b"", b"a")
