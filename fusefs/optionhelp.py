"""What the options of ``mount -o`` mean, for people (pure).

Used by: backend.cli.manual and backend.cli.command, through the table of fusefs.verbs.
Knows nothing of: how an option is understood (fusefs.options).
"""

from typing import Final

OPTIONS: Final = (
    ("rw", "changes are allowed (default)"),
    ("ro", "every change is refused, and the store gets no new file"),
    ("allow_other", "users other than the mounting one may look in; file modes count"),
    ("ids=host|container|mounter", "whose IDs own content: those on disk, in containers, yours"),
    ("symlinks=raw|rebase", "absolute links in a rootfs: as they are, or leading into it"),
    ("native=auto|off", "whether kernel mounts carry diff and rootfs"),
    ("idle=SECONDS", "when a kernel mount that nobody uses goes (300)"),
    ("native_max=NUMBER", "how many kernel mounts there may be (1000)"),
    ("store=DIRECTORY", "graph root of the store"),
    ("runroot=DIRECTORY", "its run root"),
    ("driver=NAME", "its driver"),
    ("imagestore=DIRECTORY", "its separate directory for images"),
    ("storage_opt=NAME.KEY=VALUE", "an option of its driver"),
    ("lock_timeout=SECONDS", "how long to wait for the lock of another program (60)"),
    ("nonempty", "the mount point may have something in it"),
    ("foreground", "stay in the foreground, as services want it"),
    ("debug", "tell each request"),
    ("log=FILE", "write messages to a file"),
)
