"""The verbs that mount, beside those of the store (pure).

Used by: fusefs.cli. Knows nothing of: what they do.
The Go tool's verbs of the same names are about objects; ours are about a tree of files at a path.
"""

from collections.abc import Sequence
from typing import Final

from backend.cli.flags import JSON
from backend.cli.grammar import Flag, Takes, Verb
from backend.cli.verbs import STORE_VERBS

MOUNT_VERBS: Final = (
    Verb(
        name="mount",
        module="fusefs.mountverb",
        summary="Show a store as a tree of files at a path; or mount containers, layers, images",
        example="mount /mnt/store -o ro",
        arguments="MOUNTPOINT|CONTAINER|LAYER|IMAGE ...",
        interspersed=True,
        options="fusefs.optionhelp",
        flags=(
            Flag(("--options", "-o", "--opt"), Takes.LIST, "of a tree: options, with commas"),
            Flag(("--foreground", "-f"), Takes.NOTHING, "of a tree: stay in the foreground"),
            Flag(("--fake",), Takes.NOTHING, "of a tree: check everything, but do not mount"),
            Flag(("--sloppy",), Takes.NOTHING, "of a tree: pass over options that are not known"),
            Flag(("--label", "-l"), Takes.TEXT, "of an object: its SELinux label"),
            Flag(("--read-only", "--ro", "-r"), Takes.NOTHING, "the objects are images"),
            JSON,
        ),
    ),
    Verb(
        name="umount",
        module="fusefs.umountverb",
        aliases=("unmount",),
        summary="Take a tree away that is mounted at a path; or unmount containers, layers, images",
        example="umount /mnt/store",
        arguments="MOUNTPOINT|CONTAINER|LAYER|IMAGE ...",
        interspersed=True,
        flags=(
            Flag(("--lazy", "-l"), Takes.NOTHING, "of a tree: now, even if it is in use"),
            Flag(("--force", "-f"), Takes.NOTHING, "of an object: whoever else uses it"),
            JSON,
        ),
    ),
)

VERBS: Final = (*MOUNT_VERBS, *STORE_VERBS)


def are_places(arguments: Sequence[str]) -> bool:
    """Whether arguments mean a tree: one of them is a path, as no name or ID begins."""
    return any(argument.startswith(("/", ".")) for argument in arguments)
