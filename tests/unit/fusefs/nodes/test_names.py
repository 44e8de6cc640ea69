"""Names as components of a path."""

import os
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fusefs.nodes import names

any_name = st.binary(min_size=0, max_size=60).map(os.fsdecode)
any_component = st.binary(min_size=1, max_size=60).filter(lambda raw: not {0, 0x2F} & set(raw))

words = st.text("abc019", min_size=1, max_size=6)
path_part = st.builds(
    lambda first, between, last: first + between + last,
    words,
    st.sampled_from([".", "_", "__", "-", "---", ""]),
    words,
)
registries = st.sampled_from(
    ["localhost", "docker.io", "quay.io:5000", "localhost:80", "a.b-c.example"]
)
versions = st.sampled_from([":latest", ":v1.0_2-x", "@sha256:" + "a" * 64, ":1@sha256:" + "b" * 64])


@settings(deadline=None)
@given(any_name)
def test_any_name_survives_being_a_component(name: str) -> None:
    component = names.encode(name)
    assert names.decode(component) == name
    assert component not in (b"", b".", b"..")
    assert not re.search(rb"[\x00-\x1f\x7f/]", component)


@settings(deadline=None)
@given(st.from_regex(r"\A[a-z][a-z0-9:.-]*\Z"))
def test_a_reserved_name_is_written_otherwise_and_means_the_same(name: str) -> None:
    component = names.encode(name, reserved={name.encode()})
    assert component != name.encode()
    assert names.decode(component) == name


@settings(deadline=None)
@given(any_component)
def test_any_component_can_be_decoded(component: bytes) -> None:
    assert names.decode(names.encode(names.decode(component))) == names.decode(component)


@settings(deadline=None)
@given(any_name)
def test_encoding_twice_is_needed_to_be_decoded_twice(name: str) -> None:
    once = names.encode(name)
    assert names.decode(names.encode(os.fsdecode(once))) == os.fsdecode(once)


@settings(deadline=None)
@given(st.lists(any_name.filter(lambda name: name.strip(" \t\r\n") == name and name), unique=True))
def test_a_file_of_names_has_one_a_line(listed: list[str]) -> None:
    text = b"".join(names.encode_line(name) for name in listed)
    assert text.count(b"\n") == len(listed)
    assert names.decode_lines(text) == tuple(listed)


def test_blank_lines_and_repetitions_are_no_names() -> None:
    assert names.decode_lines(b"a\n\n  b \r\na\n") == ("a", "b")


@settings(deadline=None)
@given(registries, st.lists(path_part, min_size=1, max_size=4), versions)
def test_full_references_are_split_at_their_slashes(
    registry: str, path: list[str], version: str
) -> None:
    name = "/".join([registry, *path]) + version
    assert names.reference_parts(name) == tuple(name.split("/"))
    assert names.is_directory_of_references((registry, *path[:-1]))
    assert name in names.full_references(name)


@pytest.mark.parametrize(
    "name",
    [
        "alpine",
        "alpine:3",
        "library/alpine:3",
        "docker.io/library/alpine",
        "docker.io/Library/alpine:3",
        "docker.io//alpine:3",
        "docker.io/../alpine:3",
        "/docker.io/alpine:3",
        "docker.io/alpine:3/",
        "docker.io/al pine:3",
        "docker.io/alpine:",
        "docker.io/alpine@sha256:abc",
        "",
        "docker.io/alpine:3\n",
    ],
)
def test_anything_else_is_no_full_reference(name: str) -> None:
    assert names.reference_parts(name) is None


@pytest.mark.parametrize(
    ("short", "full"),
    [
        ("alpine", ["docker.io/library/alpine:latest", "localhost/alpine:latest"]),
        ("alpine:3", ["docker.io/library/alpine:3", "localhost/alpine:3"]),
        ("me/tool", ["docker.io/me/tool:latest", "localhost/me/tool:latest"]),
        ("quay.io/me/tool", ["quay.io/me/tool:latest"]),
        ("docker.io/alpine", ["docker.io/alpine:latest", "docker.io/library/alpine:latest"]),
        ("localhost/mine", ["localhost/mine:latest"]),
        ("UPPER", []),
        ("", []),
    ],
)
def test_short_names_try_docker_first_and_then_localhost(short: str, full: list[str]) -> None:
    assert list(names.full_references(short)) == full


def test_a_directory_of_references_begins_with_a_registry() -> None:
    assert names.is_directory_of_references(["localhost"])
    assert names.is_directory_of_references(["docker.io", "library"])
    assert not names.is_directory_of_references(["library"])
    assert not names.is_directory_of_references(["docker.io", "Library"])
    assert not names.is_directory_of_references([])
