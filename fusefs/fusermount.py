"""Mounting and unmounting without privileges, through the setuid helper of FUSE.

Used by: fusefs.connection, fusefs.heldmounts, fusefs.umountverb. Knows nothing of: requests, the
store. The helper sends the descriptor of the connection over a socket that it inherits.
"""

import os
import socket
import subprocess
from collections.abc import Iterable
from typing import Final

from backend.config import process_environment
from drivers.errors import StorageError

_PROGRAM: Final = "fusermount3"
_SECONDS: Final = 60


class HelperError(StorageError):
    """The helper is not there, or refuses. ``busy``: because somebody uses the mount."""

    def __init__(self, reason: str, *, remedy: str = "", busy: bool = False) -> None:
        super().__init__(reason, remedy=remedy)
        self.busy = busy


def mount(where: str, options: Iterable[str]) -> int:
    """Mount on *where*, visibly; return the descriptor on which requests will come."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        number = theirs.fileno()
        _run("-o", ",".join(options), "--", where, pass_fds=(number,), _FUSE_COMMFD=str(number))
        theirs.close()
        _, descriptors, _, _ = socket.recv_fds(ours, 1, 1)
    if not descriptors:
        raise HelperError(f"{_PROGRAM} gave no connection for {where}")
    os.set_inheritable(descriptors[0], False)
    return descriptors[0]


def unmount(where: str, *, lazy: bool = False) -> None:
    """Unmount what this user has mounted on *where*."""
    _run("-u", *(["-z"] if lazy else []), "--", where)


def _run(*words: str, pass_fds: tuple[int, ...] = (), **variables: str) -> None:
    try:
        done = subprocess.run(
            [_PROGRAM, *words],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_SECONDS,
            check=False,
            cwd="/",
            env={**process_environment().variables, **variables},
            pass_fds=pass_fds,
        )
    except FileNotFoundError:
        remedy = "install it (package fuse3), or mount as root"
        raise HelperError(f"{_PROGRAM} is not installed", remedy=remedy) from None
    except subprocess.TimeoutExpired:
        raise HelperError(f"{_PROGRAM} does not answer within {_SECONDS} s") from None
    if done.returncode != 0:
        reason = done.stderr.decode(errors="replace").strip() or f"{_PROGRAM} failed"
        raise HelperError(reason, remedy=_remedy(reason), busy="busy" in reason.lower())


def _remedy(reason: str) -> str:
    if "allow_other" in reason:
        return "mount without allow_other, or let root write user_allow_other to /etc/fuse.conf"
    if "/dev/fuse" in reason:
        return "let root run: modprobe fuse; chmod 666 /dev/fuse"
    return ""
