"""A mount in the background: start the process that serves it, and wait until it is ready.

Used by: fusefs.mountverb. Knows nothing of: what a session does, the command line.
A new program is started, never a fork: threads and locks do not survive one. It gets its options
as JSON on standard input and says on standard output how the start went.
"""

import json
import os
import subprocess
import sys
import traceback
from collections.abc import Mapping
from dataclasses import fields
from types import MappingProxyType
from typing import Any, Final

from backend.config import process_environment
from backend.model.options import StoreOptions
from drivers.errors import StorageError
from drivers.idmap.maps import IDMap
from fusefs.options import MountOptions

FAILED: Final = 32
"""mount(8): the mount failed."""

_READY: Final = b"ready\n"
_LAST_WORDS_SECONDS: Final = 10


def start(store: StoreOptions, mount: MountOptions) -> int:
    """Start the daemon; 0 when the tree can be used, else 32 with the reason on standard error."""
    command = [sys.executable, "-m", "fusefs.daemon", store.graph_root, mount.where]
    child = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd="/",
        env=_environment(),
        start_new_session=True,
    )
    assert child.stdin is not None
    assert child.stdout is not None
    with child.stdin, child.stdout:
        child.stdin.write(encode(store, mount))
        child.stdin.close()
        answer = child.stdout.read()
    if answer == _READY:
        child.returncode = 0  # it lives on, and is not ours to wait for
        return 0
    child.wait(_LAST_WORDS_SECONDS)
    sys.stderr.write(answer.decode(errors="replace") or "storagefs: the daemon died at once\n")
    return FAILED


def _environment() -> Mapping[str, str]:
    """Ours, and where this program was found: the daemon starts in the root directory."""
    here = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    variables = process_environment().variables
    return {**variables, "PYTHONPATH": os.pathsep.join([here, variables.get("PYTHONPATH", "")])}


def main() -> int:
    """The daemon itself."""
    from fusefs.session import mount as serve

    store, mount = decode(sys.stdin.buffer.read())
    parent = os.dup(1)
    _leave_terminal()
    try:
        return serve(store, mount, lambda: _tell(parent, _READY.decode()))
    except StorageError as failure:
        remedy = f"\n  {failure.remedy}" if failure.remedy else ""
        _tell(parent, f"storagefs: {failure}{remedy}\n")
    except OSError as failure:
        place = failure.filename or mount.where
        _tell(parent, f"storagefs: {os.fsdecode(place)}: {failure.strerror or failure}\n")
    except Exception:  # noqa: BLE001 - a bug, and this is the last place that can tell of it
        _tell(parent, f"storagefs: {traceback.format_exc()}")
    return FAILED


def decode(message: bytes) -> tuple[StoreOptions, MountOptions]:
    """The two values of a start message."""
    store, mount = json.loads(message)
    return StoreOptions(**_values(store)), MountOptions(**_values(mount))


def encode(store: StoreOptions, mount: MountOptions) -> bytes:
    """The start message for two values."""
    return json.JSONEncoder().encode([_plain(store), _plain(mount)]).encode()


def _plain(options: StoreOptions | MountOptions) -> dict[str, Any]:
    if isinstance(options, StoreOptions):
        values = options._asdict()
    else:
        values = {field.name: getattr(options, field.name) for field in fields(options)}
    return {
        name: dict(value) if isinstance(value, Mapping) else value for name, value in values.items()
    }


def _values(plain: Mapping[str, Any]) -> dict[str, Any]:
    """Undo what JSON made of tuples and read-only mappings."""
    return {name: _frozen(value) for name, value in plain.items()}


def _frozen(value: Any) -> Any:
    """The only sequences in sequences are ranges of ID maps."""
    if isinstance(value, list):
        return tuple(IDMap(*item) if isinstance(item, list) else item for item in value)
    return MappingProxyType(value) if isinstance(value, dict) else value


def _leave_terminal() -> None:
    """Standard input, output and error belong to the parent: let it and its terminal go."""
    nothing = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(nothing, number)
    os.close(nothing)


def _tell(parent: int, text: str) -> None:
    """Tell the parent how the start went, once; it waits for the end of this pipe."""
    os.write(parent, os.fsencode(text))
    os.close(parent)


if __name__ == "__main__":
    sys.exit(main())
