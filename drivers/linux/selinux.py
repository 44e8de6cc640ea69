"""Whether this machine has SELinux, and what its policy says of containers.

Used by: backend.api.labelling. Knows nothing of: how the label of one container is made.
Where to look: opencontainers/selinux go-selinux (getEnabled, openContextFile, loadLabels).
"""

import os
from collections.abc import Mapping
from typing import Final

from drivers.linux import regularfile

_FILE_SYSTEM: Final = "/sys/fs/selinux"
_CONFIGURATION: Final = "/etc/selinux"
_CONTEXTS: Final = "/usr/share/containers/selinux/contexts"
_OFF: Final = "kernel"


def container_labels() -> tuple[str, str] | None:
    """Return the labels of containers' processes and files; None where SELinux is off.

    They are empty if the policy has none.
    """
    if not _is_enabled():
        return None
    contexts = _contexts()
    return contexts.get("process", ""), contexts.get("file", "")


def _is_enabled() -> bool:
    if not os.path.exists(os.path.join(_FILE_SYSTEM, "enforce")):
        return False
    if os.statvfs(_FILE_SYSTEM).f_flag & os.ST_RDONLY:  # in a container that may not see it
        return False
    try:
        with open("/proc/thread-self/attr/current", encoding="utf-8") as file:
            return file.read().rstrip("\0\n") != _OFF
    except OSError:
        return True


def _contexts() -> Mapping[str, str]:
    try:
        return _settings(_CONTEXTS)
    except FileNotFoundError:
        pass
    try:
        policy = _settings(os.path.join(_CONFIGURATION, "config")).get("SELINUXTYPE", "")
        return _settings(os.path.join(_CONFIGURATION, policy, "contexts", "lxc_contexts"))
    except FileNotFoundError:
        return {}


def _settings(path: str) -> Mapping[str, str]:
    """Read KEY = VALUE lines; values may stand in quotes."""
    found = {}
    for line in regularfile.read(path).decode(errors="surrogateescape").splitlines():
        key, equals, value = line.strip().partition("=")
        if equals and not key.startswith(("#", ";")):
            found[key.strip()] = value.strip().strip('"')
    return found
