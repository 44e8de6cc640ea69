"""User namespaces: entering a new one, giving it the IDs of the user, and making one for a map.

Used by: drivers.overlay, drivers.linux.inside, fusefs.session.
Knows nothing of: what is done inside.
One process enters (:func:`enter_new`); then its parent, outside, maps the IDs (:func:`map_ids`),
because the setuid helpers do that for processes of the user only from there.
"""

import errno
import os
import pwd
import select
import subprocess
import sys
from collections.abc import Sequence
from typing import IO, Final

from drivers.idmap.maps import IDMap
from drivers.idmap.subordinate import ranges_of
from drivers.linux import syscalls

_CLONE_NEWUSER: Final = 0x10000000
_CLONE_NEWNS: Final = 0x00020000
_SECONDS: Final = 20
_EVERYONE: Final = (IDMap(0, 0, 0xFFFFFFFF),)
# A program of its own, because a process with threads cannot enter a user namespace.
_KEEPER: Final = (
    "import ctypes, os\n"
    f"if ctypes.CDLL(None).unshare({_CLONE_NEWUSER}) == 0:\n"
    "    os.write(1, b'.')\n"
    "    os.read(0, 1)\n"
)


def enter_new() -> None:
    """Move this process, which may have one thread only, to a new user and mount namespace."""
    syscalls.function("unshare", _CLONE_NEWUSER | _CLONE_NEWNS, path="/proc/self/ns/user")


def map_ids(process: int) -> None:
    """Make this user root in the namespace of *process*, with all subordinate IDs if possible.

    Without any, or without the helpers, the namespace has the user's own ID alone.
    """
    users, groups = own_maps()
    if not (
        len(users) > 1
        and len(groups) > 1
        and _helped("newuidmap", process, users)
        and _helped("newgidmap", process, groups)
    ):
        _map_one(process, "uid_map", users[0].host_id)
        _write(f"/proc/{process}/setgroups", "deny")
        _map_one(process, "gid_map", groups[0].host_id)


def with_maps(uid_map: Sequence[IDMap], gid_map: Sequence[IDMap]) -> int:
    """Return a descriptor of a new user namespace that nobody is in, with these maps.

    An empty map is the identity. Needs to be root of the namespace that the host IDs belong to.
    """
    keeper = subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", _KEEPER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    with keeper:
        try:
            if not _says_something(keeper.stdout):
                raise syscalls.error(errno.EPERM, "a new user namespace")
            _write(f"/proc/{keeper.pid}/uid_map", _lines(uid_map or _EVERYONE))
            _write(f"/proc/{keeper.pid}/gid_map", _lines(gid_map or _EVERYONE))
            return os.open(f"/proc/{keeper.pid}/ns/user", os.O_RDONLY | os.O_CLOEXEC)
        finally:
            keeper.kill()


def _says_something(pipe: IO[bytes] | None) -> bool:
    if pipe is None:
        return False
    waiting = select.poll()  # select(2) takes no descriptor from 1024 on
    waiting.register(pipe, select.POLLIN)
    return bool(waiting.poll(_SECONDS * 1000)) and bool(os.read(pipe.fileno(), 1))


def _lines(ranges: Sequence[IDMap]) -> str:
    return "".join(f"{entry.container_id} {entry.host_id} {entry.size}\n" for entry in ranges)


def own_maps() -> tuple[tuple[IDMap, ...], tuple[IDMap, ...]]:
    """The maps, of users and of groups, of this user's namespaces: root, then subordinate IDs."""
    uid, gid = os.geteuid(), os.getegid()
    try:
        name = pwd.getpwuid(uid).pw_name
    except KeyError:
        name = ""
    users = ranges_of(_read("/etc/subuid"), uid, name)
    groups = ranges_of(_read("/etc/subgid"), uid, name)
    return (IDMap(0, uid, 1), *users), (IDMap(0, gid, 1), *groups)


def _helped(program: str, process: int, ranges: Sequence[IDMap]) -> bool:
    numbers = [str(number) for entry in ranges for number in entry]
    try:
        done = subprocess.run(
            [program, str(process), *numbers], capture_output=True, timeout=_SECONDS, check=False
        )
    except FileNotFoundError:
        return False
    except subprocess.TimeoutExpired:
        raise syscalls.error(errno.ETIMEDOUT, program) from None
    return done.returncode == 0


def _map_one(process: int, kind: str, identifier: int) -> None:
    """Map the user's own ID; a map that is there already stays, it can be written once."""
    path = f"/proc/{process}/{kind}"
    if not _read(path):
        _write(path, f"0 {identifier} 1")


def _write(path: str, text: str) -> None:
    with open(path, "w", encoding="ascii") as file:
        file.write(text)


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except FileNotFoundError:
        return ""
