"""``storagefs completion`` writes a shell's script; ``complete`` answers what the scripts ask.

Used by: backend.cli.command. Knows nothing of: what the verbs do.
What can stand at a place is told by the table of verbs; objects come from the store that the words
of the line name. Errors are no answers: a shell cannot show them while somebody types.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from backend.cli import kinds
from backend.cli.flags import GLOBAL_FLAGS
from backend.cli.grammar import CommandLine, Flag, HelpAsked, Takes, UsageError, Verb, parse
from backend.cli.request import Request
from backend.cli.shells import FILES, SCRIPTS
from backend.errors import InvalidValueError
from backend.model.snapshot import Snapshot
from drivers.errors import StorageError

Candidate = tuple[str, str]
"""A word and what explains it."""

_ANY_ARGUMENTS: Final = "[WORD ...]"
_PATH_FLAGS: Final = frozenset(("graph", "run", "image-store", "file", "metadata-file"))
_DRIVERS: Final = ("overlay", "vfs", "btrfs")
_OBJECTS: Final = {kind.upper(): kind for kind in kinds.KINDS}


def run(request: Request) -> int:
    """Write the script of one shell."""
    shell = request.line.arguments[0]
    if shell not in SCRIPTS:
        known = ", ".join(SCRIPTS)
        raise InvalidValueError("shell", shell, "there is none for it", remedy=f"known: {known}")
    request.output.out.write(SCRIPTS[shell].encode())
    return 0


def complete(request: Request) -> int:
    """Write what the last of the words can become."""
    *done, started = request.line.arguments or ("",)
    found = _candidates(request, done, started)
    request.output.lines(
        f"{word}\t{text}"
        for word, text in dict.fromkeys(found)
        if word.startswith(started) or word == FILES
    )
    return 0


def _candidates(request: Request, done: Sequence[str], started: str) -> Iterable[Candidate]:
    verbs = [verb._replace(arguments=_ANY_ARGUMENTS) for verb in request.verbs]
    waiting = _waiting(done, verbs)
    if waiting is not None:
        return _values_of(waiting)
    try:
        if not parse([*done, verbs[0].name], GLOBAL_FLAGS, verbs).arguments:  # only flags so far
            return _flags(GLOBAL_FLAGS) if started.startswith("-") else _verbs(request.verbs)
        line = parse(done, GLOBAL_FLAGS, verbs)
    except (UsageError, HelpAsked):
        return ()
    verb = next(verb for verb in request.verbs if verb.name == line.verb.name)
    if started.startswith("-") and "--" not in done:
        return _flags((*verb.flags, *GLOBAL_FLAGS))
    return _arguments(request, line._replace(verb=verb), started)


def _waiting(done: Sequence[str], verbs: Sequence[Verb]) -> Flag | None:
    """The flag that the last word is, if it still needs its value."""
    if not done:
        return None
    flags = (*GLOBAL_FLAGS, *(flag for verb in verbs if verb.name in done for flag in verb.flags))
    found = (flag for flag in flags if flag.takes is not Takes.NOTHING)
    return next((flag for flag in found if done[-1] in flag.names), None)


def _values_of(flag: Flag) -> Iterator[Candidate]:
    if flag.key in _PATH_FLAGS:
        yield FILES, ""
    elif flag.key == "storage-driver":
        yield from ((name, "driver") for name in _DRIVERS)


def _flags(flags: Sequence[Flag]) -> Iterator[Candidate]:
    yield from ((flag.names[0], flag.help) for flag in flags)


def _verbs(verbs: Sequence[Verb]) -> Iterator[Candidate]:
    yield from ((verb.name, verb.summary) for verb in verbs)


def _arguments(request: Request, line: CommandLine, started: str) -> Iterator[Candidate]:
    """What the next argument can be."""
    words = [word.strip("[]") for word in line.verb.arguments.split() if not word.startswith("...")]
    if not words or (line.verb.maximum is not None and len(line.arguments) >= line.verb.maximum):
        return
    meanings = words[min(len(line.arguments), len(words) - 1)].split("|")
    wanted = [_OBJECTS[meaning] for meaning in meanings if meaning in _OBJECTS]
    if wanted or "ITEM" in meanings:
        yield from _stored(request._replace(line=line), wanted, started)
    elif meanings == ["VERB"]:
        yield from _verbs(request.verbs)
    elif meanings[0].islower():
        yield from ((meaning, "") for meaning in meanings)
    else:
        yield FILES, ""


def _stored(request: Request, wanted: Sequence[str], started: str) -> Iterator[Candidate]:
    """Objects of the kinds *wanted*, or the items of the object that was named just before."""
    try:
        with request.open_store() as store:
            snapshot = store.snapshot()
    except (StorageError, OSError):
        return
    if wanted:
        yield from (
            (word, text) for word, text in _objects(snapshot, wanted, started) if word.isprintable()
        )
        return
    record = kinds.table(snapshot, request.line.verb.kind).find(request.line.arguments[0])
    if record is not None:
        yield from ((key, "item") for key in record.big_data_names if key.isprintable())


def _objects(snapshot: Snapshot, wanted: Sequence[str], started: str) -> Iterator[Candidate]:
    """Names first; IDs where there is no name, or of what was begun."""
    for kind in wanted:
        for record in kinds.table(snapshot, kind):
            yield from ((name, f"{kind} {record.id[:12]}") for name in record.names)
            if not record.names or (started and record.id.startswith(started)):
                yield record.id, f"{kind} {', '.join(record.names)}".rstrip()
