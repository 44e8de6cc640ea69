"""The user namespace in which users who are not root work on their own store.

Used by: backend.cli.command (--unshare), which runs itself again in there, and ``unshare``.
Knows nothing of: how a namespace is made.
"""

import os
import sys
from collections.abc import Mapping
from typing import Final

from backend.cli.request import Request
from backend.config import ProcessEnvironment

_INSIDE: Final = "_CONTAINERS_USERNS_CONFIGURED"


def run(request: Request) -> int:
    """Run a command, by default the user's shell; any failure of it is exit code 1."""
    from drivers.linux import inside

    environment = request.environment
    command = request.line.arguments or (environment.get("SHELL") or "/bin/sh",)
    code = inside.run(command, _variables(environment))
    if code:
        request.output.error(f"exit status {code}", named=False)
    return 1 if code else 0


def wanted(request: Request, *, inside: bool) -> bool:
    """Whether this command line has to be run again in a namespace.

    *inside*: what it does needs one, unless it is root who does it.
    """
    if request.environment.get(_INSIDE):
        return False
    asked = request.values.switches.get("unshare")
    return asked if asked is not None else inside and os.geteuid() != 0


def again(request: Request) -> int:
    """Run this very command line in there."""
    from drivers.linux import inside

    return inside.run([sys.executable, *sys.orig_argv[1:]], _variables(request.environment))


def _variables(environment: ProcessEnvironment) -> Mapping[str, str]:
    """What the Go tools tell those whom they start in a namespace."""
    return {
        **environment.variables,
        _INSIDE: "done",
        "_CONTAINERS_ROOTLESS_UID": str(os.geteuid()),
        "_CONTAINERS_ROOTLESS_GID": str(os.getegid()),
    }
