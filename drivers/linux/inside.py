"""A program in a user namespace of its own, with the IDs of this user.

Used by: the command line. Knows nothing of: stores.
A process with threads cannot enter a namespace, and the maps are written from outside: a small
program enters, waits until its parent has mapped the IDs, and becomes the one that is wanted.
"""

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import Final

from drivers.linux import userns

_START: Final = (
    "import sys; sys.path.insert(0, sys.argv[1]);"
    "from drivers.linux.inside import main; main(int(sys.argv[2]), int(sys.argv[3]), sys.argv[4:])"
)
_ENTERED: Final = b"+"
_NOT_STARTED: Final = 127


def run(command: Sequence[str], variables: Mapping[str, str]) -> int:
    """Run *command* with the environment *variables*; its exit code, 128 + N for a signal N.

    Raises OSError where the kernel gives this user no namespace.
    """
    told, tell = os.pipe()
    go, went = os.pipe()
    try:
        child = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", _START, _root(), str(tell), str(go), *command],
            pass_fds=(tell, go),
            env=dict(variables),
        )
        os.close(tell)
        tell = -1
        entered = os.read(told, 16)
        if entered != _ENTERED:
            child.wait()
            number = int(entered or 0)
            raise OSError(number, os.strerror(number), "/proc/self/ns/user")
        userns.map_ids(child.pid)
        os.write(went, _ENTERED)
    finally:
        for descriptor in (told, tell, go, went):
            if descriptor >= 0:
                os.close(descriptor)
    return _ended(child)


def main(tell: int, go: int, command: Sequence[str]) -> None:
    """The small program. It has no other way to say that the wanted one is missing than 127."""
    try:
        userns.enter_new()
    except OSError as error:
        os.write(tell, str(error.errno).encode())
        sys.exit(1)
    os.write(tell, _ENTERED)
    if not os.read(go, 1):
        sys.exit(1)
    try:
        os.execvp(command[0], list(command))  # noqa: S606 - this process becomes the command
    except OSError as error:
        sys.stderr.write(f"{command[0]}: {error.strerror}\n")
        sys.exit(_NOT_STARTED)


def _ended(child: "subprocess.Popen[bytes]") -> int:
    while True:
        try:
            code = child.wait()
        except KeyboardInterrupt:  # the child got it too, and decides
            continue
        return code if code >= 0 else 128 - code


def _root() -> str:
    """The directory that has the package drivers."""
    return os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
