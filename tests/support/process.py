"""Child processes with a time limit, whose failure says what they printed.

Used by: every module of tests.support and the tests.
"""

import os
import subprocess
from collections.abc import Mapping, Sequence

_FIXED = {"LC_ALL": "C.UTF-8", "TZ": "UTC", "PYTHONDONTWRITEBYTECODE": ""}
_STORE_VARIABLES = ("STORAGE_", "CONTAINERS_", "BUILDAH_", "CONTAINER_", "STORAGEFS_", "REGISTRY_")


class CommandError(AssertionError):
    """A command ended with another exit code than 0."""

    def __init__(self, command: Sequence[str], code: int, out: bytes, err: bytes) -> None:
        text = os.fsdecode(out[-4000:]) + os.fsdecode(err[-4000:])
        super().__init__(f"{' '.join(command)}: exit code {code}\n{text}")
        self.code, self.out, self.err = code, out, err


def clean_environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """This process's environment without what would lead a tool to another store."""
    inherited = os.environ.items()  # noqa: TID251 - the tests stand outside backend.config
    kept = {name: value for name, value in inherited if not name.startswith(_STORE_VARIABLES)}
    return kept | _FIXED | dict(extra or {})


def setting(name: str) -> str:
    """The environment variable *name*, "" if it is not set."""
    return os.environ.get(name, "")  # noqa: TID251 - the tests stand outside backend.config


def run(
    command: Sequence[str],
    *,
    stdin: bytes | None = None,
    timeout: float = 60,
    check: bool = True,
    cwd: str | os.PathLike[str] | None = None,
    environment: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[bytes]:
    """Run to the end, or fail: with the output if the exit code is not 0, or at *timeout*."""
    done = subprocess.run(
        [os.fspath(word) for word in command],
        input=stdin,
        stdin=subprocess.DEVNULL if stdin is None else None,
        capture_output=True,
        timeout=timeout,
        check=False,
        cwd=cwd,
        env=clean_environment(environment),
    )
    if check and done.returncode != 0:
        raise CommandError(command, done.returncode, done.stdout, done.stderr)
    return done
