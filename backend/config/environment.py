"""The environment of this process as a value: the only module that reads it.

Used by: backend.config, the command line, fusefs (through ``process_environment``).
Knows nothing of: storage.conf, options.
"""

import os
import re
from collections.abc import Mapping
from contextlib import suppress
from types import MappingProxyType
from typing import NamedTuple

from backend.errors import ConfigError


class ProcessEnvironment(NamedTuple):
    """What this process was started with: who it is, and the variables that we look at.

    ``system_directories`` hold the distribution's and the machine's configuration, weakest first.
    """

    uid: int
    variables: Mapping[str, str]
    system_directories: tuple[str, ...] = ("/usr/share/containers", "/etc/containers")

    def get(self, name: str) -> str:
        """A variable; "" if it is not set."""
        return self.variables.get(name, "")

    @property
    def home(self) -> str:
        """HOME, or the home directory in the password database."""
        if self.get("HOME"):
            return self.get("HOME")
        import pwd

        try:
            return pwd.getpwuid(self.uid).pw_dir
        except KeyError:
            raise ConfigError(
                "HOME", "not set, and this user has no entry", remedy="set HOME"
            ) from None

    @property
    def config_home(self) -> str:
        """Directory of the user's configuration."""
        return self.get("XDG_CONFIG_HOME") or os.path.join(self.home, ".config")

    @property
    def notify_socket(self) -> str:
        """Where systemd wants to be told that a service is ready; "" without it."""
        return self.get("NOTIFY_SOCKET")

    @property
    def colour(self) -> bool:
        """Whether a terminal may be given colours."""
        return not self.get("NO_COLOR") and self.get("TERM") not in ("", "dumb")


def process_environment() -> ProcessEnvironment:
    """The environment of this process."""
    variables = dict(os.environ)  # noqa: TID251 - the one place that reads it
    uid = variables.get("_CONTAINERS_ROOTLESS_UID", "")
    return ProcessEnvironment(
        uid=int(uid) if uid.isdigit() else os.getuid(), variables=MappingProxyType(variables)
    )


def expand(path: str, environment: ProcessEnvironment) -> str:
    """Fill in ``$UID`` and variables (unknown: empty); resolve symlinks of what exists."""
    path = path.replace("$UID", str(environment.uid))
    path = re.sub(
        r"\$(?:\{([^}]*)\}|(\w+))", lambda found: environment.get(found[1] or found[2]), path
    )
    try:
        return os.path.realpath(path, strict=True)
    except OSError:
        return os.path.normpath(path)


def runtime_directory(environment: ProcessEnvironment) -> str:
    """Directory for what lives as long as the login of a user who is not root.

    Where the system gave none, one for this user alone is made, as the Go tools do.
    """
    given = environment.get("XDG_RUNTIME_DIR")
    if given:
        return os.path.realpath(given)
    temporary = environment.get("TMPDIR") or "/tmp"  # noqa: S108 - the name that the Go tools take
    candidates = (
        f"/run/user/{environment.uid}",
        os.path.join(temporary, f"storage-run-{environment.uid}"),
    )
    for path in candidates:
        if _is_private(path):
            return path
    with suppress(OSError):
        os.mkdir(candidates[1], 0o700)
        return candidates[1]
    raise ConfigError(
        "XDG_RUNTIME_DIR",
        f"not set, and neither {candidates[0]} nor {candidates[1]} belongs to this user alone",
        remedy=f"remove {candidates[1]}, or set XDG_RUNTIME_DIR",
    )


def _is_private(path: str) -> bool:
    try:
        found = os.lstat(path)
    except OSError:
        return False
    return found.st_uid == os.geteuid() and found.st_mode & 0o722 == 0o700


def is_rootless(environment: ProcessEnvironment) -> bool:
    """Whether the kernel gives this process less than real root, as the Go tools judge it."""
    from drivers.linux.capability import can_mount

    if environment.uid != 0 or environment.get("_CONTAINERS_USERNS_CONFIGURED") or not can_mount():
        return True
    with open("/proc/self/uid_map", "rb") as uid_map:
        return b"4294967295" not in uid_map.read()
