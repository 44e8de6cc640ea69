"""The verbs that mount, beside those of the store (pure).

Used by: fusefs.cli. Knows nothing of: what they do.
"""

from typing import Final

from backend.cli.grammar import Flag, Takes, Verb
from backend.cli.verbs import STORE_VERBS

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
