"""``storagefs man``: manual pages in roff, made from the table of verbs.

Used by: backend.cli.command, backend.cli.installing. Knows nothing of: what the verbs do.
"""

from collections.abc import Iterator, Sequence

from backend.cli.flags import GLOBAL_FLAGS
from backend.cli.grammar import Flag, Takes, Verb
from backend.cli.request import Request
from backend.errors import InvalidValueError
from backend.version import VERSION


def run(request: Request) -> int:
    """Write the page of the program, or of one verb."""
    program, verbs = request.output.program, request.verbs
    if not request.line.arguments:
        request.output.lines(_whole(program, verbs))
        return 0
    (wanted,) = request.line.arguments
    for verb in verbs:
        if wanted in (verb.name, *verb.aliases):
            request.output.lines(_page(program, verb))
            return 0
    remedy = f"see {program} --help"
    raise InvalidValueError("verb", wanted, "there is no such command", remedy=remedy)


def pages(program: str, verbs: Sequence[Verb]) -> Iterator[tuple[str, Iterator[str]]]:
    """Every page: its file below share/man, and its lines. Other names lead to a verb's page."""
    yield f"man1/{program}.1", _whole(program, verbs)
    for verb in verbs:
        page = f"man1/{program}-{verb.name}.1"
        yield page, _page(program, verb)
        others = [f"man1/{program}-{alias}.1" for alias in verb.aliases]
        if verb.options:
            others.append(f"man8/mount.{program}.8")
        yield from ((other, iter([f".so {page}"])) for other in others)


def _whole(program: str, verbs: Sequence[Verb]) -> Iterator[str]:
    yield _title(program)
    yield ".SH NAME"
    yield rf"{program} \- layers, images and containers of a container store"
    yield ".SH SYNOPSIS"
    yield rf".B {program}"
    yield r"[\fIFLAGS\fR] \fICOMMAND\fR [\fIFLAGS\fR] [\fB\-\-\fR] [\fIARGUMENTS\fR]"
    yield ".SH COMMANDS"
    for verb in verbs:
        yield ".TP"
        yield rf"\fB{_roff(verb.name)}\fR {_roff(verb.arguments)}".rstrip()
        yield _roff(verb.summary)
        yield rf"(\fB{program}-{_roff(verb.name)}\fR(1))"
    yield ".SH FLAGS OF EVERY COMMAND"
    yield from _flags(GLOBAL_FLAGS)
    yield from _exit_codes()


def _page(program: str, verb: Verb) -> Iterator[str]:
    yield _title(f"{program}-{verb.name}")
    yield ".SH NAME"
    yield rf"{program}\-{_roff(verb.name)} \- {_roff(verb.summary)}"
    yield ".SH SYNOPSIS"
    for name in (verb.name, *verb.aliases):
        yield rf"\fB{program} {_roff(name)}\fR [\fIFLAGS\fR] {_roff(verb.arguments)}".rstrip()
        yield ".br"
    if verb.flags:
        yield ".SH FLAGS"
        yield from _flags(verb.flags)
    if verb.explained:
        yield ".SH MOUNT OPTIONS"
        for option, text in verb.explained:
            yield from (".TP", rf"\fB{_roff(option)}\fR", _roff(text))
    yield ".SH FLAGS OF EVERY COMMAND"
    yield from _flags(GLOBAL_FLAGS)
    yield ".SH EXAMPLE"
    yield ".nf"
    yield _roff(f"{program} {verb.example}")
    yield ".fi"
    yield from _exit_codes()
    yield ".SH SEE ALSO"
    yield rf"\fB{program}\fR(1)"


def _title(name: str) -> str:
    return f'.TH "{_roff(name.upper())}" "1" "" "storagefs {VERSION}" "User Commands"'


def _flags(flags: Sequence[Flag]) -> Iterator[str]:
    for flag in flags:
        yield ".TP"
        value = "" if flag.takes is Takes.NOTHING else r" \fIVALUE\fR"
        yield ", ".join(rf"\fB{_roff(name)}\fR" for name in flag.names) + value
        yield _roff(flag.help) + ("; may be repeated" if flag.takes is Takes.LIST else "")


def _exit_codes() -> Iterator[str]:
    yield ".SH EXIT STATUS"
    for code, meaning in (
        ("0", "done"),
        ("1", "failed, something was not found, or there is no such command"),
        ("125", "a flag behind the command was not understood, or help was asked for"),
    ):
        yield from (".TP", code, meaning)


def _roff(text: str) -> str:
    """*text* as roff shows it: hyphens that can be copied, no escapes, no requests."""
    escaped = text.replace("\\", r"\e").replace("-", r"\-")
    return rf"\&{escaped}" if escaped.startswith((".", "'")) else escaped
