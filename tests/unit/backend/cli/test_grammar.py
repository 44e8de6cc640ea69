"""The command line of the Go tool."""

import pytest

from backend.cli.grammar import CommandLine, Flag, HelpAsked, Takes, UsageError, Verb, parse

GLOBALS = (
    Flag(("--debug", "-D"), Takes.NOTHING, ""),
    Flag(("--graph", "-g", "--root"), Takes.TEXT, ""),
    Flag(("--storage-opt",), Takes.LIST, ""),
)
LIST = Verb(
    name="list",
    aliases=("ls",),
    module="",
    summary="",
    example="",
    arguments="[NAME]",
    flags=(
        Flag(("--json", "-j"), Takes.NOTHING, ""),
        Flag(("--quiet", "-q"), Takes.NOTHING, ""),
        Flag(("--id", "-i"), Takes.TEXT, ""),
        Flag(("--name", "-n"), Takes.LIST, ""),
    ),
)
SHOW = Verb(name="show", module="", summary="", example="", arguments="ID ...")
MOUNT = Verb(
    name="mount",
    module="",
    summary="",
    example="",
    arguments="[SOURCE] PLACE",
    interspersed=True,
    own=True,
    flags=(Flag(("--options", "-o"), Takes.LIST, ""),),
)


def parsed(*words: str) -> CommandLine:
    return parse(words, GLOBALS, (LIST, SHOW, MOUNT))


def usage_error(*words: str) -> UsageError:
    with pytest.raises(UsageError) as raised:
        parsed(*words)
    return raised.value


@pytest.mark.parametrize("words", [["--id=x"], ["--id", "x"], ["-i", "x"], ["-i=x"], ["--id='x'"]])
def test_every_spelling_of_a_value_is_read(words: list[str]) -> None:
    assert parsed("list", *words).values.text("id") == "x"


def test_quotes_are_stripped_only_behind_an_equals_sign_and_only_in_pairs() -> None:
    assert parsed("list", "--id", "'x'").values.text("id") == "'x'"
    assert parsed("list", '--id="x').values.text("id") == '"x'
    assert parsed("list", "-i=''").values.text("id") == ""


@pytest.mark.parametrize(
    ("word", "on"), [("--json", True), ("--json=t", True), ("-j=0", False), ("--json=False", False)]
)
def test_booleans_take_no_word(word: str, on: bool) -> None:
    line = parsed("list", word, "NAME")

    assert line.values.on("json") is on
    assert line.arguments == ("NAME",)


def test_a_boolean_with_another_word_is_refused() -> None:
    assert usage_error("list", "--json=yes").exit_code == 125
    assert usage_error("--debug=yes", "list").exit_code == 1


@pytest.mark.parametrize("words", [["-jqi", "x"], ["-ijq", "x"], ["-ij", "x", "-q"]])
def test_short_letters_combine_and_a_letter_takes_the_next_word(words: list[str]) -> None:
    values = parsed("list", *words).values

    assert (values.on("json"), values.on("quiet"), values.text("id")) == (True, True, "x")


@pytest.mark.parametrize("word", ["-ifoo", "-json", "--jso", "-x", "---json"])
def test_what_is_no_flag_is_refused_behind_the_command_with_125(word: str) -> None:
    error = usage_error("list", word)

    assert error.exit_code == 125
    assert error.verb is LIST


def test_what_is_no_flag_is_refused_before_the_command_with_1() -> None:
    error = usage_error("--json", "list")

    assert (error.exit_code, error.verb) == (1, None)


def test_flags_end_at_the_first_other_word() -> None:
    assert parsed("show", "a", "-j", "--", "b").arguments == ("a", "-j", "--", "b")
    assert parsed("show", "--", "-j").arguments == ("-j",)
    assert parsed("show", "-").arguments == ("-",)
    assert parsed("show", "").arguments == ("",)


def test_a_verb_may_take_flags_behind_its_arguments() -> None:
    line = parsed("mount", "/a", "-o", "ro", "/b", "-o=x", "-D")

    assert line.arguments == ("/a", "/b")
    assert line.values.items("options") == ("ro", "x")
    assert line.values.on("debug")
    assert parsed("mount", "/a", "--", "-o").arguments == ("/a", "-o")


def test_global_flags_stand_on_both_sides_and_the_last_one_wins() -> None:
    values = parsed("-g", "/a", "--storage-opt", "x", "list", "--root=/b", "--storage-opt=y").values

    assert values.text("graph") == "/b"
    assert values.items("storage-opt") == ("x", "y")


def test_lists_gather_what_is_repeated() -> None:
    assert parsed("list", "-n", "a", "--name=b").values.items("name") == ("a", "b")


def test_a_flag_without_its_value_is_refused() -> None:
    assert usage_error("list", "--id").exit_code == 125
    assert usage_error("--graph").exit_code == 1


def test_the_number_of_arguments_is_checked() -> None:
    assert usage_error("show").exit_code == 1
    assert usage_error("list", "a", "b").exit_code == 1
    assert parsed("show", "a", "b", "c").arguments == ("a", "b", "c")


def test_no_command_and_an_unknown_command_exit_with_1() -> None:
    assert usage_error().exit_code == 1
    assert usage_error("nonsense").exit_code == 1
    assert "nonsense" in str(usage_error("nonsense"))


def test_aliases_are_commands() -> None:
    assert parsed("ls").verb is LIST


@pytest.mark.parametrize(
    ("words", "verb", "exit_code"),
    [
        (["--help"], None, 0),
        (["-help"], None, 0),
        (["-h"], None, 1),
        (["list", "--help"], LIST, 125),
        (["list", "-h"], LIST, 125),
        (["list", "--help=false"], LIST, 125),
        (["mount", "/a", "-h"], MOUNT, 0),
    ],
)
def test_help_has_the_exit_codes_of_the_go_tool(
    words: list[str], verb: Verb | None, exit_code: int
) -> None:
    with pytest.raises(HelpAsked) as raised:
        parsed(*words)

    assert (raised.value.verb, raised.value.exit_code) == (verb, exit_code)
