"""The entry point: ``storagefs``, ``mount.storagefs`` and ``mount.fuse.storagefs``.

Used by: the installed commands, mount(8), systemd. Knows nothing of: sessions, requests.
Rule: listing must feel instant, so nothing is imported before it is needed. Even ``typing`` comes
after the collector of garbage is off, which would look through it.
"""

import gc
import os
import sys

_PROGRAM = "storagefs"
_HELPERS = ("mount.storagefs", "mount.fuse.storagefs")


def main(argv: list[str] | None = None) -> int:
    """Do what the command line says; return the exit code. *argv* begins with the program."""
    gc.disable()  # a listing ends before its garbage matters; a mount turns this on again
    _fill_standard_streams()
    try:
        return _run(sys.argv if argv is None else argv)
    finally:
        gc.freeze()  # else the interpreter looks through everything once more as it ends


def _fill_standard_streams() -> None:
    """Open what the caller closed, so that no file of the store gets its number."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            descriptor = os.open(os.devnull, os.O_RDWR)
            if descriptor != number:
                os.dup2(descriptor, number)
                os.close(descriptor)
            os.set_inheritable(number, True)
            stream = open(number, "w" if number else "r", encoding="utf-8")  # noqa: SIM115 - for good
            setattr(sys, name, stream)


def _run(argv: list[str]) -> int:
    from backend.cli import command
    from fusefs.verbs import VERBS

    program, *words = argv
    name = os.path.basename(program)
    known = {word for verb in VERBS for word in (verb.name, *verb.aliases)}
    if name in _HELPERS or _called_by_fuse_helper(words, known):
        from fusefs.mounthelper import HelperUsageError, translate

        try:
            words = translate(words)
        except HelperUsageError as error:
            print(f"{name}: {error}", file=sys.stderr)
            return error.exit_code
        return command.run(words, program=name, verbs=VERBS)
    return command.run(words, program=_PROGRAM, verbs=VERBS)


def _called_by_fuse_helper(words: list[str], known: set[str]) -> bool:
    """``storagefs SPEC DIR -o …``: how mount.fuse(8) runs the file system that it is given."""
    return (
        len(words) > 1
        and not words[0].startswith("-")
        and (words[0] not in known and words[1].startswith("/"))
    )


if __name__ == "__main__":
    sys.exit(main())
