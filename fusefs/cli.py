"""The entry point: ``storagefs``, ``mount.storagefs`` and ``mount.fuse.storagefs``.

Used by: the installed commands, mount(8), systemd. Knows nothing of: sessions, requests.
Rule: listing must feel instant, so nothing here imports what only a mount needs.
"""

import os
import sys
from collections.abc import Sequence
from typing import Final

from backend.cli import command
from backend.cli.grammar import Flag, Takes, Verb
from backend.cli.verbs import STORE_VERBS

_PROGRAM: Final = "storagefs"
_HELPERS: Final = ("mount.storagefs", "mount.fuse.storagefs")

MOUNT_VERBS: Final = (
    Verb(
        name="mount",
        module="fusefs.mountverb",
        summary="Show a store as a tree of files (the machine's own, or that at GRAPHROOT)",
        example="mount /mnt/store -o ro",
        arguments="[GRAPHROOT] MOUNTPOINT",
        minimum=1,
        maximum=2,
        interspersed=True,
        bad_flag_exit=1,
        help_exit=0,
        flags=(
            Flag(("--options", "-o"), Takes.LIST, "mount options, with commas between them"),
            Flag(("--foreground", "-f"), Takes.NOTHING, "stay in the foreground"),
            Flag(("--fake",), Takes.NOTHING, "check everything, but do not mount"),
            Flag(("--sloppy",), Takes.NOTHING, "pass over options that are not known"),
        ),
    ),
    Verb(
        name="umount",
        module="fusefs.umountverb",
        aliases=("unmount",),
        summary="Take a mounted tree away, with the native mounts in it",
        example="umount /mnt/store",
        arguments="MOUNTPOINT",
        minimum=1,
        maximum=1,
        interspersed=True,
        bad_flag_exit=1,
        help_exit=0,
        flags=(Flag(("--lazy", "-l"), Takes.NOTHING, "now, even if it is in use"),),
    ),
)

VERBS: Final = MOUNT_VERBS + STORE_VERBS


def main(argv: Sequence[str] | None = None) -> int:
    """Do what the command line says; return the exit code. *argv* begins with the program."""
    program, *words = sys.argv if argv is None else list(argv)
    name = os.path.basename(program)
    if name in _HELPERS or _called_by_fuse_helper(words):
        from fusefs.mounthelper import HelperUsageError, translate

        try:
            words = translate(words)
        except HelperUsageError as error:
            print(f"{name}: {error}", file=sys.stderr)
            return error.exit_code
        return command.run(words, program=name, verbs=VERBS)
    return command.run(words, program=_PROGRAM, verbs=VERBS)


def _called_by_fuse_helper(words: Sequence[str]) -> bool:
    """``storagefs SPEC DIR -o …``: how mount.fuse(8) runs the file system that it is given."""
    known = {name for verb in VERBS for name in (verb.name, *verb.aliases)}
    return (
        len(words) > 1
        and not words[0].startswith("-")
        and (words[0] not in known and words[1].startswith("/"))
    )


if __name__ == "__main__":
    sys.exit(main())
