"""The command line of the Go tool, as a parser over tables (pure).

Used by: backend.cli.command, with the tables of backend.cli.verbs.
Knows nothing of: what a verb does, the environment, terminals.

``PROGRAM [flags] COMMAND [flags] [--] [arguments]``. Long names take two dashes; ``--x=v``,
``--x v``, ``-x v`` and ``-x=v`` give a value, and one pair of outer quotes is stripped where there
is a ``=``. Booleans never take the next word. Short letters combine; a letter that needs a value
takes the next word. Flags end at the first other word, unless the verb allows them anywhere.
"""

import enum
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

BAD_FLAG: Final = 125
"""Exit code for a flag behind the command word that is not understood."""

_REPEATED: Final = frozenset(("...", "...]"))
_TRUE: Final = frozenset(("1", "t", "T", "true", "TRUE", "True"))
_FALSE: Final = frozenset(("0", "f", "F", "false", "FALSE", "False"))


class Takes(enum.Enum):
    """What a flag takes."""

    NOTHING = enum.auto()
    TEXT = enum.auto()
    LIST = enum.auto()


class Flag(NamedTuple):
    """One flag. ``names`` with their dashes, the first is the one that values are filed under."""

    names: tuple[str, ...]
    takes: Takes
    help: str

    @property
    def key(self) -> str:
        """Name of the value: the first name without its dashes."""
        return self.names[0].lstrip("-")


class Verb(NamedTuple):
    """One command. ``module`` is imported when it is called; it has ``function(request) -> int``.

    ``arguments`` is read by people and by the parser: ``[X]`` may be left out, ``...`` repeats the
    word before it. ``kind`` is the kind of object for verbs that exist once a kind.
    ``interspersed``: flags may also stand behind arguments. ``inside``: a user who is not root
    enters the namespace of the own store first. ``own``: the Go tool has no such verb.
    ``options``: the module whose OPTIONS explain what -o takes; mount(8) has them too.
    """

    name: str
    module: str
    summary: str
    example: str
    function: str = "run"
    kind: str = ""
    aliases: tuple[str, ...] = ()
    arguments: str = ""
    flags: tuple[Flag, ...] = ()
    interspersed: bool = False
    inside: bool = False
    own: bool = False
    options: str = ""

    @property
    def explained(self) -> Sequence[tuple[str, str]]:
        """What -o takes, and what each option means."""
        if not self.options:
            return ()
        from importlib import import_module

        found: Sequence[tuple[str, str]] = import_module(self.options).OPTIONS
        return found

    @property
    def minimum(self) -> int:
        """How many arguments it needs."""
        words = self.arguments.split()
        return sum(not word.startswith("[") and word not in _REPEATED for word in words)

    @property
    def maximum(self) -> int | None:
        """How many arguments it takes; None for any number."""
        words = self.arguments.split()
        return None if _REPEATED.intersection(words) else len(words)

    @property
    def help_exit(self) -> int:
        """What asking for help ends with: the Go tool calls that a mistake."""
        return 0 if self.own else BAD_FLAG


class Values(NamedTuple):
    """What the flags said. A flag that was not given is False, "" or empty."""

    switches: Mapping[str, bool]
    texts: Mapping[str, str]
    lists: Mapping[str, tuple[str, ...]]

    def on(self, key: str) -> bool:
        """Whether a boolean flag is on."""
        return self.switches.get(key, False)

    def text(self, key: str) -> str:
        """Value of a flag; "" if it was not given."""
        return self.texts.get(key, "")

    def given(self, key: str) -> bool:
        """Whether a flag with a value was given at all."""
        return key in self.texts or key in self.lists

    def items(self, key: str) -> tuple[str, ...]:
        """Values of a flag that may be repeated, in order."""
        return self.lists.get(key, ())


class CommandLine(NamedTuple):
    """A command line that was understood."""

    verb: Verb
    values: Values
    arguments: tuple[str, ...]


class UsageError(Exception):
    """A command line that was not understood; ``verb`` is None before the command word."""

    def __init__(self, message: str, verb: Verb | None, exit_code: int) -> None:
        super().__init__(message)
        self.verb, self.exit_code = verb, exit_code


class UnknownVerbError(UsageError):
    """The command word is none; the message names one that looks like it."""

    def __init__(self, word: str, verbs: Sequence[Verb]) -> None:
        from difflib import get_close_matches

        near = get_close_matches(word, [verb.name for verb in verbs], 1)
        hint = f" (did you mean {near[0]}?)" if near else ""
        super().__init__(f"{word}: no such command{hint}", None, 1)


class HelpAsked(Exception):  # noqa: N818 - asking for help is no error
    """Help instead of a command; ``verb`` is None for help about all."""

    def __init__(self, verb: Verb | None, exit_code: int) -> None:
        super().__init__()
        self.verb, self.exit_code = verb, exit_code


class _FlagError(Exception):
    pass


class _HelpFlag(Exception):  # noqa: N818 - a signal inside this module
    pass


def parse(words: Sequence[str], globals_: Sequence[Flag], verbs: Sequence[Verb]) -> CommandLine:
    """Understand *words* (without the program's name).

    Exit codes are the Go tool's: 1 before the command word and for the number of arguments, 125
    for flags behind the command word and for its help.

    Raises:
        UsageError: It makes no sense.
        HelpAsked: Help is wanted.
    """
    scanner = _Scanner(globals_)
    try:
        rest = scanner.scan(list(words))
    except _FlagError as error:
        raise UsageError(str(error), None, 1) from None
    except _HelpFlag as asked:
        raise HelpAsked(None, 0 if str(asked) != "-h" else 1) from None
    if not rest:
        raise UsageError("no command given", None, 1)
    verb = _find(rest[0], verbs)
    scanner.extend(verb.flags)
    try:
        arguments = scanner.scan(rest[1:], interspersed=verb.interspersed)
    except _FlagError as error:
        raise UsageError(str(error), verb, BAD_FLAG) from None
    except _HelpFlag:
        raise HelpAsked(verb, verb.help_exit) from None
    _check_number(verb, arguments)
    return CommandLine(verb, scanner.values(), tuple(arguments))


def _find(word: str, verbs: Sequence[Verb]) -> Verb:
    for verb in verbs:
        if word == verb.name or word in verb.aliases:
            return verb
    raise UnknownVerbError(word, verbs)


def _check_number(verb: Verb, arguments: Sequence[str]) -> None:
    if len(arguments) < verb.minimum:
        raise UsageError(f"needs {verb.arguments}", verb, 1)
    if verb.maximum is not None and len(arguments) > verb.maximum:
        extra = arguments[verb.maximum]
        takes = verb.arguments or "no arguments"
        raise UsageError(f"{extra!r} is too much: it takes {takes}", verb, 1)


class _Scanner:
    """Collects the values of flags; used once before and once behind the command word."""

    def __init__(self, flags: Sequence[Flag]) -> None:
        self._known: dict[str, Flag] = {}
        self._switches: dict[str, bool] = {}
        self._texts: dict[str, str] = {}
        self._lists: dict[str, tuple[str, ...]] = {}
        self.extend(flags)

    def extend(self, flags: Sequence[Flag]) -> None:
        self._known.update((name, flag) for flag in flags for name in flag.names)

    def values(self) -> Values:
        return Values(self._switches, self._texts, self._lists)

    def scan(self, words: list[str], *, interspersed: bool = False) -> list[str]:
        """Take flags off *words* (which is used up); return the words that are none."""
        words.reverse()
        arguments: list[str] = []
        while words:
            word = words.pop()
            if word == "--":
                break
            if len(word) > 1 and word.startswith("-"):
                self._flag(word, words)
                continue
            if not interspersed:
                words.append(word)
                break
            arguments.append(word)
        return arguments + words[::-1]

    def _flag(self, word: str, words: list[str]) -> None:
        name, equals, value = word.partition("=")
        flag = self._known.get(name)
        if flag is not None:
            self._take(flag, name, _unquote(value) if equals else None, words)
        elif name in ("--help", "-help", "-h"):
            raise _HelpFlag(name)
        elif name.startswith("--") or len(name) == 2:
            raise _FlagError(f"there is no flag {name}")
        else:
            self._letters(name, _unquote(value) if equals else None, words)

    def _letters(self, name: str, value: str | None, words: list[str]) -> None:
        for position, letter in enumerate(name[1:], start=2):
            flag = self._known.get(f"-{letter}")
            if flag is None:
                raise _FlagError(f"there is no flag -{letter} (in {name})")
            self._take(flag, f"-{letter}", value if position == len(name) else None, words)

    def _take(self, flag: Flag, name: str, value: str | None, words: list[str]) -> None:
        if flag.takes is Takes.NOTHING:
            self._switches[flag.key] = _boolean(name, value)
            return
        if value is None:
            if not words:
                raise _FlagError(f"{name} needs a value")
            value = words.pop()
        if flag.takes is Takes.TEXT:
            self._texts[flag.key] = value
        else:
            self._lists[flag.key] = (*self._lists.get(flag.key, ()), value)


def _boolean(name: str, value: str | None) -> bool:
    if value is None or value in _TRUE:
        return True
    if value in _FALSE:
        return False
    raise _FlagError(f"{name}={value}: write {name}=true or {name}=false")


def _unquote(value: str) -> str:
    if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'":
        return value[1:-1]
    return value
