"""Tell systemd how the mount is doing, when it asked to know.

Used by: fusefs.serving. Knows nothing of: where the address came from (backend.config reads the
environment). Never fails: a service must not end because nobody listens.
"""

import contextlib
import socket


def notify(address: str, *assignments: str) -> None:
    """Send ``READY=1`` and the like to the socket named *address*; nothing if it is empty."""
    if not address:
        return
    name = "\0" + address[1:] if address.startswith("@") else address
    with (
        contextlib.suppress(OSError),
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel,
    ):
        channel.connect(name)
        channel.send("\n".join(assignments).encode())
