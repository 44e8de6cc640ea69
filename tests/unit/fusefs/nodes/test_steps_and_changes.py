"""Build steps of layers, and changes as text and JSON."""

import json
import os

from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.protocol import Change, ChangeKind
from fusefs.nodes import changes
from fusefs.nodes.steps import layer_steps

from .conftest import config


def test_steps_that_made_no_layer_are_passed_over() -> None:
    history = [
        {"created_by": "ADD rootfs"},
        {"created_by": "ENV A=b", "empty_layer": True},
        {"created_by": "RUN one"},
    ]
    assert layer_steps(config(history), 2) == ["ADD rootfs", "RUN one"]


def test_a_base_without_history_leaves_its_layers_without_a_step() -> None:
    assert layer_steps(config([{"created_by": "RUN one"}]), 3) == ["", "", "RUN one"]


def test_a_history_that_does_not_fit_tells_nothing() -> None:
    assert layer_steps(config([{"created_by": "a"}, {"created_by": "b"}]), 1) == [""]


def test_a_step_is_one_line() -> None:
    assert layer_steps(config([{"created_by": "RUN a\n  b\n"}]), 1) == ["RUN a   b"]
    assert layer_steps(config([{"comment": "imported"}]), 1) == ["imported"]


@settings(deadline=None)
@given(st.binary(max_size=40), st.integers(0, 5))
def test_no_configuration_whatever_makes_it_fail(configuration: bytes, layers: int) -> None:
    assert len(layer_steps(configuration, layers)) == layers


def test_odd_histories_are_no_error() -> None:
    for history in ("x", 3, None, [1, "a", None], {"a": 1}):
        assert layer_steps(json.dumps({"history": history}).encode(), 1) == [""]  # noqa: TID251 - no store file


CHANGES = [
    Change(b"/b", ChangeKind.DELETE, "-"),
    Change(b"/a/new\nline\\", ChangeKind.ADD, "f"),
    Change(b"/a", ChangeKind.MODIFY, "d"),
    Change(b"/\xff", ChangeKind.ADD, "l"),
]


def test_changes_are_lines_sorted_by_path() -> None:
    expected = b"C d /a\nA f /a/new\\012line\\134\nD - /b\nA l /\xff\n"
    assert changes.as_text(CHANGES) == expected


def test_removals_are_the_deletions_only() -> None:
    assert changes.removals(CHANGES) == b"D - /b\n"


@settings(deadline=None)
@given(st.lists(st.binary(min_size=1, max_size=20), unique=True))
def test_any_path_survives_the_json(paths: list[bytes]) -> None:
    text = changes.as_json([Change(path, ChangeKind.ADD, "f") for path in paths])
    read = [os.fsencode(entry["path"]) for entry in json.loads(text)]
    assert read == sorted(paths)


@settings(deadline=None)
@given(st.lists(st.binary(min_size=1, max_size=20), unique=True))
def test_every_change_is_one_line_whatever_its_path(paths: list[bytes]) -> None:
    text = changes.as_text(Change(path, ChangeKind.ADD, "f") for path in paths)
    assert len(text.split(b"\n")) == len(paths) + 1
