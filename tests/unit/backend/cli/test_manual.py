"""Manual pages from the table of verbs."""

import pytest

from fusefs.optionhelp import OPTIONS
from fusefs.options import KNOWN
from fusefs.verbs import VERBS
from tests.support import process
from tests.support.commandline import run


@pytest.mark.shells
@pytest.mark.parametrize("words", [(), ("create-container",), ("layers",), ("mount",)], ids=str)
def test_man_formats_the_page_without_a_warning(words: tuple[str, ...]) -> None:
    page = run("man", *words).out

    done = process.run(
        ["man", "--warnings", "-E", "ascii", "-l", "-"], stdin=page, environment={"MANWIDTH": "80"}
    )

    assert done.stderr == b""
    assert b"SYNOPSIS" in done.stdout
    assert b"storagefs" in done.stdout


def test_the_page_of_a_verb_has_its_names_flags_and_example() -> None:
    verb = next(verb for verb in VERBS if verb.name == "diff")

    page = run("man", "diff").text.replace("\\-", "-")

    for flag in verb.flags:
        assert all(f"\\fB{name}\\fR" in page for name in flag.names)
    assert f"storagefs {verb.example}" in page
    assert run("man", "diff-size").text == run("man", "diffsize").text


def test_the_page_of_mount_explains_every_option_that_is_understood() -> None:
    page = run("man", "mount").text.replace("\\-", "-")
    explained = {option.partition("=")[0] for option, _ in OPTIONS}

    assert explained == {option.partition("=")[0] for option in KNOWN}
    for option, text in OPTIONS:
        assert f"\\fB{option}\\fR\n{text}\n" in page
        assert text in run("mount", "--help").text


def test_the_page_of_the_program_names_every_verb() -> None:
    page = run("man").text.replace("\\-", "-")

    assert all(f"\\fB{verb.name}\\fR" in page for verb in VERBS)


def test_there_is_no_page_for_what_is_no_verb() -> None:
    assert run("man", "nonsense").code == 1
