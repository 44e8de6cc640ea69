"""A merged view without privileges: mounted in a user namespace, handed over as a descriptor.

Used by: drivers.overlay.detached. Knows nothing of: layers.
A program of its own enters the namespace, because a process with threads cannot. It mounts, sends
the descriptor and ends; the mount, which is nowhere to be seen, lives as long as the descriptor.
It does not stay for the next request: its namespace has a copy of every mount, ours too, and would
keep them from ending when they are unmounted.
"""

import contextlib
import errno
import json
import os
import socket
import subprocess
import sys
from typing import Final

from drivers.errors import MountFailedError
from drivers.linux import userns
from drivers.overlay import mounting
from drivers.overlay.mountdata import OverlayMount

_SECONDS: Final = 30
_ENTERED: Final = b"entered"
_MOUNTED: Final = b"mounted"
_START: Final = (
    "import sys; sys.path.insert(0, sys.argv[1]);"
    "from drivers.overlay.unprivileged import main; main(int(sys.argv[2]))"
)


def mount_detached(overlay: OverlayMount, aside: str) -> int:
    """Return the descriptor of a read-only overlay; see drivers.overlay.mounting."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, contextlib.ExitStack() as stack:
        ours.settimeout(_SECONDS)
        with theirs:
            child = subprocess.Popen(
                [sys.executable, "-I", "-S", "-c", _START, _root(), str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                pass_fds=(theirs.fileno(),),
            )
        stack.callback(child.wait, _SECONDS)
        stack.callback(child.kill)
        _expect(ours.recv(4096), _ENTERED)
        userns.map_ids(child.pid)
        ours.send(_encoded(overlay, aside))
        answer, descriptors, _, _ = socket.recv_fds(ours, 4096, 1)
        _expect(answer, _MOUNTED)
        os.set_inheritable(descriptors[0], False)
        return descriptors[0]


def main(number: int) -> None:
    """The program: enter, wait until IDs are mapped, mount, send."""
    with socket.socket(fileno=number) as parent:
        try:
            userns.enter_new()
            parent.send(_ENTERED)
            overlay, aside = _decoded(parent.recv(1 << 20))
            fd = mounting.mount_detached(overlay, aside)
            socket.send_fds(parent, [_MOUNTED], [fd])
        except MountFailedError as refused:
            parent.send(f"{refused.errno} {refused.detail}".encode())
        except OSError as refused:
            parent.send(f"{refused.errno} {refused.filename or ''}".encode())


def _expect(answer: bytes, wanted: bytes) -> None:
    if answer == wanted:
        return
    number, _, detail = answer.decode(errors="replace").partition(" ")
    code = int(number) if number.isdigit() else errno.EIO
    raise MountFailedError("overlay mount", "a user namespace", code, detail=detail)


def _encoded(overlay: OverlayMount, aside: str) -> bytes:
    return json.JSONEncoder().encode([overlay._asdict(), aside]).encode()


def _decoded(message: bytes) -> tuple[OverlayMount, str]:
    members, aside = json.loads(message)
    lists = {name: tuple(members[name]) for name in ("lowers", "options")}
    return OverlayMount(**{**members, **lists}), aside


def _root() -> str:
    """The directory that has the package drivers."""
    return os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
