"""Flags that several verbs share, and those of every verb (pure).

Used by: backend.cli.tables, backend.cli.verbs, fusefs.verbs. Knows nothing of: verbs.
"""

from typing import Final

from backend.cli.grammar import Flag, Takes

GLOBAL_FLAGS: Final = (
    Flag(("--debug", "-D"), Takes.NOTHING, "show where an error came from"),
    Flag(("--graph", "-g", "--root"), Takes.TEXT, "graph root: where the store is"),
    Flag(("--run", "-R", "--runroot"), Takes.TEXT, "run root: state until the next boot"),
    Flag(("--image-store",), Takes.TEXT, "separate directory for images"),
    Flag(("--storage-driver", "-s"), Takes.TEXT, "driver: overlay, vfs, btrfs ($STORAGE_DRIVER)"),
    Flag(("--storage-opt",), Takes.LIST, "driver option NAME.KEY=VALUE ($STORAGE_OPTS)"),
    Flag(("--transient-store",), Takes.NOTHING, "containers live in the run root"),
    Flag(("--unshare", "-U"), Takes.NOTHING, "enter a user namespace first (default: if not root)"),
    Flag(("--lock-timeout",), Takes.TEXT, "seconds to wait for other programs (default: 60)"),
)

JSON: Final = Flag(("--json", "-j"), Takes.NOTHING, "write JSON")
QUIET: Final = Flag(("--quiet", "-q"), Takes.NOTHING, "IDs only")
ID: Final = Flag(("--id", "-i"), Takes.TEXT, "its ID (default: a random one)")
NAMES: Final = Flag(("--name", "-n"), Takes.LIST, "a name for it; may be repeated")
LABEL: Final = Flag(("--label", "-l"), Takes.TEXT, "SELinux label to mount it with")
READ_ONLY: Final = Flag(("--readonly", "-r"), Takes.NOTHING, "it is never written to")
METADATA: Final = (
    Flag(("--metadata", "-m"), Takes.TEXT, "text to keep with it"),
    Flag(("--metadata-file", "-f"), Takes.TEXT, "file with that text"),
)
INPUT: Final = Flag(("--file", "-f"), Takes.TEXT, "read this file, not standard input")
OUTPUT: Final = Flag(("--file", "-f"), Takes.TEXT, "write this file, not standard output")
ID_MAPS: Final = (
    Flag(("--uidmap",), Takes.TEXT, "user IDs: CONTAINER:HOST:NUMBER"),
    Flag(("--gidmap",), Takes.TEXT, "group IDs: CONTAINER:HOST:NUMBER"),
    Flag(("--hostuidmap",), Takes.NOTHING, "the host's user IDs"),
    Flag(("--hostgidmap",), Takes.NOTHING, "the host's group IDs"),
    Flag(("--subuidmap",), Takes.TEXT, "user whose /etc/subuid ranges are used"),
    Flag(("--subgidmap",), Takes.TEXT, "user whose /etc/subgid ranges are used"),
)
