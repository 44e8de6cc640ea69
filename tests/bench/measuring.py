"""Running commands and saying what they took; goals, and whether they are met.

Used by: the benches of this package. Knows nothing of: stores, mounts.
"""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.support import process
from tests.support.gotools import Roots

PROJECT = Path(__file__).resolve().parents[2]
_SECONDS = 600
_PROGRAM = (
    f"import sys; sys.path.insert(0, {str(PROJECT)!r}); from fusefs.cli import main; "
    "sys.exit(main())"
)


@dataclass(frozen=True, slots=True)
class Goal:
    """A number that should not be over *limit*; what it is made of stands in *what*."""

    what: str
    value: float
    limit: float

    @property
    def met(self) -> bool:
        """Whether the number is good enough."""
        return self.value <= self.limit


@dataclass(frozen=True, slots=True)
class Sample:
    """What one run of a command took."""

    seconds: float
    cpu_seconds: float
    """User and system time of the command and of what it waited for."""
    peak_mib: float
    """Its largest resident set, but at least that of the bench itself (kernel: exec)."""


def run_quietly(command: Sequence[str]) -> Sample:
    """Run *command*; its failure ends the benchmark."""
    started = time.perf_counter()
    child = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        env=process.clean_environment(),
    )
    limit = threading.Timer(_SECONDS, child.kill)
    limit.start()
    _, status, usage = os.wait4(child.pid, 0)
    limit.cancel()
    seconds = time.perf_counter() - started
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode != 0:
        raise subprocess.CalledProcessError(child.returncode, command)
    return Sample(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def timed(command: Sequence[str]) -> float:
    """Seconds that *command* takes."""
    return run_quietly(command).seconds


def cpu_seconds(command: Sequence[str]) -> float:
    """User and system seconds that *command* takes."""
    return run_quietly(command).cpu_seconds


def drop_caches() -> None:
    """Write everything out and make the kernel forget it."""
    os.sync()
    Path("/proc/sys/vm/drop_caches").write_text("3\n")


def storagefs(roots: Roots, *words: str) -> list[str]:
    """``storagefs WORDS`` on *roots*, as the installed command runs."""
    store = ["--graph", str(roots.graph), "--run", str(roots.run), "-s", "overlay"]
    return [sys.executable, "-c", _PROGRAM, *store, *words]


def print_goals(goals: Sequence[Goal]) -> None:
    """One line each."""
    for goal in goals:
        verdict = "pass" if goal.met else "MISS"
        print(f"{verdict}  {goal.what:<60}{goal.value:>8.2f}   goal {goal.limit:g}")
