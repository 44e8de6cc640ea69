"""What /proc tells of other processes.

Used by: drivers.linux.recordlock, fusefs.holders. Knows nothing of: why anybody asks.
"""

from __future__ import annotations


def command_name(pid: int) -> str:
    """The short name of a process, for messages; ``a process`` where it is gone or hidden."""
    try:
        with open(f"/proc/{pid}/comm", encoding="utf-8", errors="replace") as file:
            return file.read().strip()
    except OSError:
        return "a process"
