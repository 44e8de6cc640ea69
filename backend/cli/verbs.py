"""The table of verbs: names, arguments, flags, help (pure).

Used by: backend.cli.command, fusefs.cli (adds its own), the tests of the documentation.
Knows nothing of: what the verbs do; their modules are imported when they are called.
"""

from typing import Final

from backend.cli.grammar import Flag, Takes, Verb

GLOBAL_FLAGS: Final = (
    Flag(("--debug", "-D"), Takes.NOTHING, "show where an error came from"),
    Flag(("--graph", "-g", "--root"), Takes.TEXT, "graph root: where the store is"),
    Flag(("--run", "-R", "--runroot"), Takes.TEXT, "run root: state until the next boot"),
    Flag(("--image-store",), Takes.TEXT, "separate directory for images"),
    Flag(("--storage-driver", "-s"), Takes.TEXT, "driver: overlay or vfs ($STORAGE_DRIVER)"),
    Flag(("--storage-opt",), Takes.LIST, "driver option NAME.KEY=VALUE ($STORAGE_OPTS)"),
    Flag(("--transient-store",), Takes.NOTHING, "containers live in the run root"),
    Flag(("--unshare", "-U"), Takes.NOTHING, "enter a user namespace first (default: no)"),
    Flag(("--lock-timeout",), Takes.TEXT, "seconds to wait for other programs (default: 60)"),
)

_JSON: Final = Flag(("--json", "-j"), Takes.NOTHING, "write JSON")

STORE_VERBS: Final = (
    Verb(
        name="layers",
        module="backend.cli.layers",
        summary="List layers, with the images and containers on them",
        example="layers --tree",
        flags=(
            _JSON,
            Flag(("--tree", "-t"), Takes.NOTHING, "draw which layer stands on which"),
            Flag(("--quick", "-q"), Takes.NOTHING, "IDs only"),
        ),
    ),
    Verb(
        name="images",
        module="backend.cli.images",
        summary="List images",
        example="images --json",
        flags=(_JSON, Flag(("--quiet", "-q"), Takes.NOTHING, "IDs only")),
    ),
    Verb(
        name="containers",
        module="backend.cli.containers",
        summary="List containers",
        example="containers --json",
        flags=(_JSON,),
    ),
    Verb(
        name="mounted",
        module="backend.cli.mounted",
        summary="Say which containers or layers are mounted",
        example="mounted web",
        arguments="CONTAINER|LAYER ...",
        minimum=1,
        maximum=None,
        flags=(_JSON,),
    ),
    Verb(
        name="status",
        module="backend.cli.status",
        summary="Show roots and driver of the store",
        example="status --json",
        flags=(_JSON,),
    ),
    Verb(
        name="config",
        module="backend.cli.config",
        summary="Show the options in effect, or those of one file",
        example="config --origin",
        arguments="[FILE]",
        maximum=1,
        flags=(
            _JSON,
            Flag(("--origin",), Takes.NOTHING, "say for each value where it comes from"),
        ),
    ),
    Verb(
        name="errors",
        module="backend.cli.errors",
        summary="Show what a mounted storagefs refused, why, and the remedy",
        example="errors /mnt/store",
        arguments="[MOUNTPOINT]",
        maximum=1,
        flags=(_JSON,),
    ),
)
