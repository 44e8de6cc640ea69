"""From the words of a command line to an exit code.

Used by: fusefs.cli. Knows nothing of: single verbs.

Exit codes are those of the Go tool: 0, 1 for what failed, 125 for a flag that is not understood
behind the command word and for a command's help; a verb may have others.
"""

import errno
import importlib
import os
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from backend.cli.flags import GLOBAL_FLAGS
from backend.cli.grammar import (
    Flag,
    HelpAsked,
    Takes,
    UnknownVerbError,
    UsageError,
    Verb,
    parse,
)
from backend.cli.output import Output, standard_output
from backend.cli.request import OpeningError, Request
from backend.config import process_environment
from backend.errors import of_system
from drivers.errors import StorageError

FAILED: Final = 1
_INTERRUPTED: Final = 130


def run(words: Sequence[str], *, program: str, verbs: Sequence[Verb]) -> int:
    """Do what *words* (without the program's name) ask for; return the exit code."""
    environment = process_environment()
    output = standard_output(program, colour=environment.colour)
    try:
        line = parse(words, GLOBAL_FLAGS, verbs)
    except HelpAsked as asked:
        output.lines(help_text(program, verbs, asked.verb))
        output.flush()
        return asked.exit_code
    except UsageError as error:
        _usage_error(output, program, verbs, error)
        return error.exit_code
    request = Request(line, output, environment, verbs)
    if line.values.on("debug"):
        return _call(request)
    return _guarded(request)


def _call(request: Request) -> int:
    verb = request.line.verb
    if "unshare" in request.values.switches or (verb.inside and os.geteuid() != 0):
        from backend.cli import unshare

        if unshare.wanted(request, inside=verb.inside):
            return unshare.again(request)
    function: Callable[[Request], int] = getattr(
        importlib.import_module(verb.module), verb.function
    )
    exit_code = function(request)
    request.output.flush()
    return exit_code


def _guarded(request: Request) -> int:
    """Call the verb; an expected error becomes one line."""
    output = request.output
    try:
        return _call(request)
    except StorageError as error:
        output.error(str(error), error.remedy, named=not isinstance(error, OpeningError))
    except BrokenPipeError:
        discard = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
        os.dup2(discard, 1)  # what is still buffered goes nowhere
    except OSError as error:
        output.error(of_system(error), _remedy_for(error))
    except KeyboardInterrupt:
        return _INTERRUPTED
    return FAILED


def _remedy_for(error: OSError) -> str:
    if error.errno in (errno.EACCES, errno.EPERM) and os.geteuid() != 0:
        return "run it as root, or as the owner of the store"
    return ""


def _usage_error(output: Output, program: str, verbs: Sequence[Verb], error: UsageError) -> None:
    if error.verb is None:
        output.error(str(error), f"see {program} --help")
        if not isinstance(error, UnknownVerbError):
            output.lines(_command_list(verbs))
    else:
        output.error(f"{error.verb.name}: {error}", f"see {program} {error.verb.name} --help")
    output.flush()


def help_text(program: str, verbs: Sequence[Verb], verb: Verb | None = None) -> Iterator[str]:
    """Lines of help about one verb or about all."""
    if verb is None:
        yield f"Usage: {program} [FLAGS] COMMAND [FLAGS] [ARGUMENTS]"
        yield ""
        yield from _command_list(verbs)
        yield ""
        yield f"{program} COMMAND --help shows the flags and an example of each."
    else:
        names = "|".join((verb.name, *verb.aliases))
        yield f"Usage: {program} {names} [FLAGS] {verb.arguments}".rstrip()
        yield ""
        yield verb.summary
        yield ""
        yield f"Example: {program} {verb.example}"
        if verb.flags:
            yield from ("", "Flags:", *_flag_list(verb.flags))
        if verb.explained:
            yield from ("", "Options of a tree, behind -o:", *_columns(verb.explained))
    yield from ("", "Flags of every command:", *_flag_list(GLOBAL_FLAGS))


def _command_list(verbs: Sequence[Verb]) -> Iterator[str]:
    yield "Commands:"
    yield from _columns([(verb.name, verb.summary) for verb in verbs])


def _flag_list(flags: Sequence[Flag]) -> Iterator[str]:
    return _columns(
        [
            (", ".join(flag.names) + ("" if flag.takes is Takes.NOTHING else " VALUE"), flag.help)
            for flag in flags
        ]
    )


def _columns(rows: Sequence[tuple[str, str]]) -> Iterator[str]:
    width = max(len(left) for left, _ in rows)
    yield from (f"  {left:{width}}  {right}" for left, right in rows)
