"""Verbs on the store as a whole, and on this program itself (pure).

Used by: backend.cli.verbs. Knows nothing of: what they do.
"""

from typing import Final

from backend.cli.flags import JSON
from backend.cli.grammar import Flag, Takes, Verb

_DEPTH: Final = Flag(
    ("--depth",), Takes.TEXT, "how much is read: records, digests or files (default)"
)
_AGE: Final = Flag(("--max", "-m"), Takes.TEXT, "age at which an unneeded layer counts (24h)")

VERBS: Final = (
    Verb(
        name="check",
        module="backend.cli.checking",
        function="check",
        summary="Look for damage in the store; nothing is touched without --repair",
        example="check --quick",
        inside=True,
        flags=(
            Flag(("--quick", "-q"), Takes.NOTHING, "do not compare files (--depth digests)"),
            _DEPTH,
            _AGE,
            Flag(("--repair", "-r"), Takes.NOTHING, "delete images and layers that are damaged"),
            Flag(("--force", "-f"), Takes.NOTHING, "the same, with the containers on them"),
            JSON,
        ),
    ),
    Verb(
        name="repair",
        module="backend.cli.checking",
        function="repair",
        summary="Show the smallest steps that mend the store; take them with --apply",
        example="repair --depth digests",
        inside=True,
        own=True,
        flags=(
            Flag(("--apply",), Takes.NOTHING, "take the steps"),
            Flag(("--containers",), Takes.NOTHING, "damaged containers may be deleted"),
            _DEPTH,
            _AGE,
            JSON,
        ),
    ),
    Verb(
        name="gc",
        module="backend.cli.upkeep",
        function="collect",
        summary="Delete what no record owns",
        example="gc",
        inside=True,
        flags=(JSON,),
    ),
    Verb(
        name="dedup",
        module="backend.cli.upkeep",
        function="dedup",
        summary="Let equal files of different layers share their blocks",
        example="dedup --hash-method sha256",
        inside=True,
        flags=(
            Flag(("--hash-method",), Takes.TEXT, "how they are told apart: crc, size or sha256"),
            JSON,
        ),
    ),
    Verb(
        name="shutdown",
        module="backend.cli.upkeep",
        function="shutdown",
        summary="End the use of the store; fails while a layer is mounted",
        example="shutdown",
        inside=True,
        flags=(Flag(("--force", "-f"), Takes.NOTHING, "unmount layers"), JSON),
    ),
    Verb(
        name="wipe",
        module="backend.cli.upkeep",
        function="wipe",
        summary="Delete all containers, images and layers",
        example="wipe",
        inside=True,
        flags=(JSON,),
    ),
    Verb(
        name="unshare",
        module="backend.cli.unshare",
        summary="Run a command (default: a shell) in the user namespace of the own store",
        example="unshare id -u",
        arguments="[COMMAND ...]",
    ),
    Verb(
        name="errors",
        module="backend.cli.errors",
        summary="Show what a mounted storagefs refused, why, and the remedy",
        example="errors /mnt/store",
        arguments="[MOUNTPOINT]",
        own=True,
        flags=(JSON,),
    ),
    Verb(
        name="completion",
        module="backend.cli.completion",
        summary="Write a shell's script that completes verbs, flags and objects",
        example="completion bash",
        arguments="bash|zsh|fish",
        own=True,
    ),
    Verb(
        name="complete",
        module="backend.cli.completion",
        function="complete",
        summary="Write what the last WORD can become (the scripts of completion call this)",
        example="complete -- delete-cont",
        arguments="[WORD ...]",
        own=True,
    ),
    Verb(
        name="man",
        module="backend.cli.manual",
        summary="Write the manual page of the program or of one verb, for man -l",
        example="man layers",
        arguments="[VERB]",
        own=True,
    ),
    Verb(
        name="install-help",
        module="backend.cli.installing",
        summary="Install the manual pages and the completions of bash, zsh and fish",
        example="install-help /usr/local",
        arguments="PREFIX",
        own=True,
    ),
)
