"""A store mounted by a child process: start, bounded wait, stop, log. Kills only its own child.

Used by: mount tests, scripts/bench. The test process never serves a mount itself, and nothing
here resolves a path below the mount without a time limit.
"""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.support import mounttable, process
from tests.support.gotools import Roots

READY_SECONDS = 30.0
STOP_SECONDS = 15.0


class NotServedError(AssertionError):
    """The daemon did not come up; the message has its log."""


@dataclass(slots=True)
class Mounted:
    """``storagefs mount --foreground`` of *roots* on *where*.

    A daemon that lives longer than *limit* seconds is aborted: its stacks go to the log, and
    calls that hang in the mount, which no signal but SIGKILL can end, return with an error.
    """

    roots: Roots
    where: Path
    log: Path
    options: Sequence[str] = ()
    driver: str = "overlay"
    limit: float = 110
    environment: dict[str, str] = field(default_factory=dict)
    child: subprocess.Popen[bytes] | None = None
    _watchdog: threading.Timer | None = None

    def command(self) -> list[str]:
        """The command line that serves the mount."""
        graph, run = os.fspath(self.roots.graph), os.fspath(self.roots.run)
        store = ["--graph", graph, "--run", run, "--storage-driver", self.driver]
        options = ["-o", ",".join(self.options)] if self.options else []
        program = [sys.executable, "-m", "fusefs.cli"]
        return [*program, *store, "mount", "--foreground", *options, os.fspath(self.where)]

    def start(self, seconds: float = READY_SECONDS) -> "Mounted":
        """Start the daemon and wait until it answers."""
        self.where.mkdir(parents=True, exist_ok=True)
        project = Path(__file__).parents[2]
        variables = {"PYTHONFAULTHANDLER": "1", "PYTHONPATH": os.fspath(project)}
        with self.log.open("ab") as log:
            self.child = subprocess.Popen(
                self.command(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=process.clean_environment(variables | self.environment),
                start_new_session=True,
            )
        self._watchdog = threading.Timer(self.limit, self._give_up)
        self._watchdog.daemon = True
        self._watchdog.start()
        self._wait_until_ready(self.child, time.monotonic() + seconds)
        return self

    def _wait_until_ready(self, child: subprocess.Popen[bytes], deadline: float) -> None:
        while time.monotonic() < deadline:
            if child.poll() is not None:
                raise NotServedError(f"exit code {child.returncode}\n{self.log_text()}")
            mount = mounttable.at(self.where)
            if mount is not None and mount.fstype.startswith("fuse") and self.answers():
                return
            time.sleep(0.02)
        log = self.log_text()
        self.kill()
        raise NotServedError(f"not ready in time\n{log}")

    def answers(self, seconds: float = 10) -> bool:
        """Whether ``version`` at the root can be read, asked by a process of its own."""
        command = ["cat", os.fspath(self.where / "version")]
        with contextlib.suppress(subprocess.TimeoutExpired):
            return process.run(command, timeout=seconds, check=False).returncode == 0
        return False

    def _give_up(self) -> None:
        """The time is over: the stacks of the daemon go to its log, its callers get an error."""
        if self.child is not None and self.child.poll() is None:
            self.child.send_signal(signal.SIGABRT)
            with contextlib.suppress(OSError, subprocess.SubprocessError):
                mounttable.abort_fuse(self.where)

    @property
    def pid(self) -> int:
        """Process ID of the daemon."""
        assert self.child is not None, "not started"
        return self.child.pid

    def stop(self, seconds: float = STOP_SECONDS) -> int:
        """SIGTERM and wait; the exit code. A daemon that does not go is killed and a failure."""
        assert self.child is not None, "not started"
        self.child.send_signal(signal.SIGTERM)
        try:
            return self.child.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"daemon did not stop in {seconds} s\n{self.log_text()}") from None

    def kill(self) -> None:
        """SIGKILL; the dead mount stays."""
        if self.child is not None and self.child.poll() is None:
            self.child.kill()
            self.child.wait(10)

    def close(self) -> None:
        """End the daemon however it is, and detach what is left of the mount."""
        if self._watchdog is not None:
            self._watchdog.cancel()
        if self.child is not None and self.child.poll() is None:
            self.child.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.child.wait(STOP_SECONDS)
        self.kill()
        mounttable.unmount_below(self.where)

    def log_text(self) -> str:
        """Everything that the daemon printed."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def resident_kib(self) -> int:
        """Resident memory of the daemon."""
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1])
        raise AssertionError("no VmRSS: the daemon is gone")
