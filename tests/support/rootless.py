"""A user without privileges, in a mount namespace where that user may mount with FUSE.

Used by: tests of rootless mounts, tests.support.capabilities. Works as root only: the user is made
up (an account file of the namespace's own), and the device is one that everybody may open, as on
most machines. Nothing of it is seen outside of the namespace; it ends with the test.
"""

import contextlib
import os
import select
import shlex
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from tests.support import process

UID = 54321
FIRST_SUBORDINATE, SUBORDINATES = 600_000, 65_536
TOOLS = ("unshare", "nsenter", "setpriv", "fusermount3", "newuidmap", "newgidmap")

_PRIVATE = ("unshare", "-m", "--propagation", "private")
_PROJECT = Path(__file__).parents[2]
_SETUP = """
set -e
{opened}
mknod -m 666 "$1/fuse" c 10 229
mount --bind "$1/fuse" /dev/fuse
for name in passwd group subuid subgid; do
    touch "$1/$name"
    mount --bind "$1/$name" "/etc/$name"
done
echo ready
read -r end || true
"""
_OPEN_UP = """
mkdir "$1/held"
mount --bind {path} "$1/held"
mount -t tmpfs -o mode=755 tmpfs {closed}
mkdir -p {path}
mount --bind "$1/held" {path}
umount "$1/held"
rmdir "$1/held"
"""


class User:
    """The user, as whom commands are run; ``home`` belongs to it."""

    def __init__(self, base: Path) -> None:
        self.home = base / "home"
        self.home.mkdir()
        os.chown(self.home, UID, UID)
        self._etc = private = base / "etc"
        private.mkdir(0o755)
        self.device = private / "fuse"
        account = f"tester:x:{UID}:{UID}::{self.home}:/bin/sh\n"
        (private / "passwd").write_text(f"root:x:0:0::/root:/bin/sh\n{account}")
        (private / "group").write_text(f"root:x:0:\ntester:x:{UID}:\n")
        for name in ("subuid", "subgid"):
            (private / name).write_text(f"tester:{FIRST_SUBORDINATE}:{SUBORDINATES}\n")
        self._holder = subprocess.Popen(
            [*_PRIVATE, "sh", "-c", _setup(), "sh", str(private)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert self._holder.stdout is not None
        readable, _, _ = select.select([self._holder.stdout], [], [], 20)
        assert readable
        assert self._holder.stdout.readline() == b"ready\n"

    def command(self, *words: str) -> list[str]:
        """The command line that runs *words* as this user."""
        enter = ["nsenter", "-t", str(self._holder.pid), "-m"]
        become = ["setpriv", f"--reuid={UID}", f"--regid={UID}", "--clear-groups"]
        at_home = ["sh", "-c", 'cd "$HOME" && exec "$@"', "sh"]
        return [*enter, *become, *at_home, *words]

    def environment(self, extra: Mapping[str, str] | None = None) -> dict[str, str]:
        """What a login of this user has, and where the program under test is."""
        runtime = self.home / "run"
        return {
            "HOME": str(self.home),
            "USER": "tester",
            "XDG_RUNTIME_DIR": str(runtime),
            "PYTHONPATH": str(_PROJECT),
            **(extra or {}),
        }

    def run(
        self, *words: str, check: bool = True, timeout: float = 60
    ) -> subprocess.CompletedProcess[bytes]:
        """Run a command as this user, in its home."""
        return process.run(
            self.command(*words),
            check=check,
            timeout=timeout,
            environment=self.environment(),
        )

    def storagefs(self, *words: str, check: bool = True) -> subprocess.CompletedProcess[bytes]:
        """Run ``storagefs WORDS`` as this user."""
        return self.run(sys.executable, "-m", "fusefs.cli", *words, check=check)

    def forget_subordinate_ids(self) -> None:
        """From now on the user has no ID but its own."""
        for name in ("subuid", "subgid"):
            (self._etc / name).write_text("")

    def close(self) -> None:
        """End the namespace. What the user still has mounted in it goes with it."""
        assert self._holder.stdin is not None
        self._holder.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._holder.wait(5)
        self._holder.kill()
        self._holder.wait(5)


def _setup() -> str:
    """The script that furnishes the namespace: the program and its Python can be reached there."""
    needed = dict.fromkeys((_PROJECT, Path(sys.prefix), Path(sys.base_prefix)))
    closed = {path: _closed_above(path) for path in needed}
    opened = [
        _OPEN_UP.format(path=shlex.quote(str(path)), closed=shlex.quote(str(above)))
        for path, above in closed.items()
        if above is not None
    ]
    return _SETUP.replace("{opened}", "".join(opened))


def _closed_above(path: Path) -> Path | None:
    """The first directory on the way to *path* that not everybody may pass."""
    above = (*reversed(path.parents), path)
    return next((step for step in above if not step.stat().st_mode & stat.S_IXOTH), None)


@contextlib.contextmanager
def user() -> Iterator[User]:
    """A user for the length of a with-block."""
    base = Path(tempfile.mkdtemp(prefix="storagefs-user-"))
    base.chmod(0o755)
    try:
        made = User(base)
        try:
            made.run("mkdir", "-m", "700", str(made.home / "run"))
            yield made
        finally:
            made.close()
    finally:
        process.run(["rm", "-rf", "--one-file-system", str(base)], check=False)


def missing() -> str:
    """Why there can be no such user here; "" if there can."""
    absent = [tool for tool in TOOLS if shutil.which(tool) is None]
    if absent:
        return f"not installed: {', '.join(absent)} (Debian packages util-linux, fuse3, uidmap)"
    with user() as tester:
        done = tester.run(sys.executable, "-c", "import fusefs.cli, pyfuse3", check=False)
        if done.returncode != 0:
            return "a user who is not root cannot read the program or its Python"
        done = tester.run("unshare", "--user", "true", check=False)
        return f"no user namespaces: {os.fsdecode(done.stderr)}" if done.returncode else ""
