"""What the kernel lets this process do.

Used by: drivers, backend.config, fusefs. Knows nothing of: what for.
"""

from typing import Final

_SYS_ADMIN: Final = 21


def can_mount() -> bool:
    """Whether this thread has CAP_SYS_ADMIN in effect, in its own user namespace."""
    with open("/proc/thread-self/status", "rb") as status:
        for line in status:
            if line.startswith(b"CapEff:"):
                return bool(int(line[7:], 16) >> _SYS_ADMIN & 1)
    return False
