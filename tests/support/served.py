"""A child process that serves the small tree of tests.support.memorytree.

Used by: tests of the session. Kills only its own child; every wait has an end.
"""

import contextlib
import os
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from tests.support import mounttable, process, wait

PROJECT = Path(__file__).parents[2]


class Served:
    """The child and its mount point."""

    def __init__(self, directory: Path, *settings: str) -> None:
        self.where = directory / "mnt"
        self.where.mkdir(exist_ok=True)
        self.log = directory / "log"
        with self.log.open("ab") as log:
            self.child = subprocess.Popen(
                [sys.executable, "-m", "tests.support.memorytree", str(self.where), *settings],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                cwd=PROJECT,
                env=process.clean_environment({"PYTHONPATH": str(PROJECT)}),
            )
        assert self.child.stdout is not None
        readable, _, _ = select.select([self.child.stdout], [], [], 20)
        assert readable, f"not ready: {self.text()}"
        assert self.child.stdout.readline() == b"ready\n", self.text()

    def text(self) -> str:
        """What it logged."""
        return self.log.read_text()

    def mount(self) -> mounttable.Mount | None:
        """Its line in the kernel's table."""
        return mounttable.at(self.where)

    def statistics(self) -> dict[str, int]:
        """What its tables hold, read through the mount."""
        done = self.run("cat", "statistics")
        pairs = (word.split("=") for word in done.stdout.decode().split())
        return {name: int(value) for name, value in pairs}

    def requests(self) -> dict[str, int]:
        """Requests that it got so far, by kind, as its log tells."""
        told = self.text().count("state: ")
        self.child.send_signal(signal.SIGUSR1)
        wait.until(lambda: self.text().count("state: ") > told, 10, "the state in the log")
        found = re.findall(r"state: .* requests (\{.*?\})", self.text())
        return {name: int(n) for name, n in re.findall(r"'(\w+)': (\d+)", found[-1])}

    def run(self, *command: str, timeout: float = 20) -> "subprocess.CompletedProcess[bytes]":
        """A command in the mount, by a process that can be abandoned if it hangs."""
        return process.run(command, cwd=self.where, timeout=timeout, check=False)

    def wait(self, seconds: float) -> int:
        """Its exit code, within *seconds*."""
        return self.child.wait(seconds)

    def close(self) -> None:
        """End it however it is."""
        if self.child.poll() is None:
            self.child.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.child.wait(5)
        self.child.kill()
        self.child.wait(5)
        if self.child.stdout is not None:
            self.child.stdout.close()
        mounttable.unmount_below(self.where)


@contextlib.contextmanager
def served(directory: Path, *settings: str) -> Iterator[Served]:
    """Serve for the length of a with-block."""
    serving = Served(directory, *settings)
    try:
        yield serving
    finally:
        serving.close()


def fuse_holders() -> set[int]:
    """Processes that have a FUSE device open."""
    holders = set()
    for name in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            for number in os.listdir(f"/proc/{name}/fd"):
                if os.readlink(f"/proc/{name}/fd/{number}") == "/dev/fuse":
                    holders.add(int(name))
    return holders


def within(seconds: float, condition) -> bool:
    """Whether *condition* comes true in time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.02)
    return bool(condition())
