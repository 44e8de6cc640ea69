"""What reaches a terminal, and what reaches a pipe."""

import io
import json

import pytest

from backend.cli.output import Output, human_size, human_time, printable


def test_a_terminal_gets_columns_and_a_pipe_gets_tabs() -> None:
    rows = [("a", "bbb"), ("aaaa", "b")]
    terminal, pipe = io.BytesIO(), io.BytesIO()

    Output("x", terminal, io.BytesIO(), width=80).table(("ID", "NAME"), rows)
    Output("x", pipe, io.BytesIO()).table(("ID", "NAME"), rows)

    assert terminal.getvalue() == b"ID    NAME\na     bbb\naaaa  b\n"
    assert pipe.getvalue() == b"a\tbbb\naaaa\tb\n"


def test_a_row_is_cut_to_the_width_of_the_terminal() -> None:
    terminal = io.BytesIO()

    Output("x", terminal, io.BytesIO(), width=8).table(("ID", "NAME"), [("a", "0123456789")])

    assert terminal.getvalue().decode().splitlines() == ["ID  NAME", "a   012…"]


def test_a_terminal_never_gets_control_characters_from_a_name() -> None:
    evil = "a\x1b]0;owned\x07b\udcff"
    terminal, pipe, errors = io.BytesIO(), io.BytesIO(), io.BytesIO()

    Output("x", terminal, errors, width=80).table(("NAME",), [(evil,)])
    Output("x", pipe, errors).lines([evil])
    Output("x", pipe, errors).error(evil, "fix")

    assert b"\x1b" not in terminal.getvalue()
    assert pipe.getvalue() == b"a\x1b]0;owned\x07b\xff\n"
    assert b"\x1b" not in errors.getvalue()
    assert errors.getvalue().startswith(b"x: a\\x1b]0;owned")


def test_lines_on_a_terminal_keep_their_tabs_and_lose_what_it_would_obey() -> None:
    terminal = io.BytesIO()

    Output("x", terminal, io.BytesIO(), width=80).lines(["a", "\tname: \x1b[2J\n\x9bK é"])

    assert terminal.getvalue().decode() == "a\n\tname: \\x1b[2J\\n\\x9bK é\n"


@pytest.mark.parametrize("width", [0, 80])
def test_json_is_valid_whatever_bytes_a_name_has(width: int) -> None:
    for name, shown in ((b"a\xff\xe2\x80b", "a\ufffd\ufffd\ufffdb"), ("ü".encode(), "ü")):
        out = io.BytesIO()
        output = Output("x", out, io.BytesIO(), width=width)

        output.encoded(b'["' + name + b'"]')
        output.json([name.decode("utf-8", "surrogateescape")])

        assert [json.loads(line) for line in out.getvalue().splitlines()] == [[shown], [shown]]


def test_json_on_a_terminal_means_the_same_and_obeys_nobody() -> None:
    value = {"a\x1b": "é\x9b\x7f\u202e\U000e0041 ok"}
    terminal, pipe = io.BytesIO(), io.BytesIO()

    Output("x", terminal, io.BytesIO(), width=80).json(value)
    Output("x", pipe, io.BytesIO()).json(value)

    assert terminal.getvalue().decode().strip().isprintable()
    assert json.loads(terminal.getvalue()) == json.loads(pipe.getvalue()) == value


@pytest.mark.parametrize(
    ("size", "text"), [(0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (5 * 1024**3, "5.0 GiB")]
)
def test_sizes_have_iec_units(size: int, text: str) -> None:
    assert human_size(size) == text


def test_gos_zero_time_is_no_date() -> None:
    assert human_time("0001-01-01T00:00:00Z") == "-"
    assert human_time("2026-11-21T21:25:02.579751043Z") == "2026-11-21 21:25"


def test_printable_text_stays_as_it_is() -> None:
    assert printable("grün/日本 ok") == "grün/日本 ok"
    assert printable("a\tb\nc") == "a\\tb\\nc"
