"""How many layers a second several processes make in one store.

Used by: tests.bench.store_side_by_side. Run as ``python -m tests.bench.creating GRAPH RUN SYNC
COUNT`` it is one such process, which uses the library instead of the command.
"""

import os
import shlex
import subprocess
import sys
import time

from backend import StoreOptions, open_store
from tests.bench.measuring import PROJECT
from tests.bench.scenes import GO, UNSYNCED, Tool
from tests.support import process

PROCESSES = 4
COMMANDS, CALLS = 8, 100
"""How many of each one process makes. The start of a process counts."""


def rates(tool: Tool) -> dict[str, float]:
    """Creates a second: by one command each and, if it is ours, by processes of the library."""
    found = {"commands": _rate([["sh", "-c", _loop(tool)]] * PROCESSES, COMMANDS)}
    if tool.name != GO:
        sync = "none" if tool.name == UNSYNCED else "filesystem"
        roots = (os.fspath(tool.roots.graph), os.fspath(tool.roots.run))
        command = [sys.executable, "-m", "tests.bench.creating", *roots, sync, str(CALLS)]
        found["library"] = _rate([command] * PROCESSES, CALLS)
    return found


def _loop(tool: Tool) -> str:
    return (
        f"for n in $(seq {COMMANDS}); do {shlex.join(tool.command('create-layer'))} || exit; done"
    )


def _rate(commands: list[list[str]], each: int) -> float:
    os.sync()
    started = time.perf_counter()
    children = [
        subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            env=process.clean_environment(),
            cwd=PROJECT,
        )
        for command in commands
    ]
    codes = [child.wait(600) for child in children]
    if any(codes):
        raise AssertionError(f"exit codes {codes}")
    return len(commands) * each / (time.perf_counter() - started)


def _main(graph: str, run: str, sync: str, count: str) -> None:
    options = StoreOptions(graph_root=graph, run_root=run, driver="overlay", sync=sync)
    with open_store(options) as store:
        for _ in range(int(count)):
            store.layers.create()


if __name__ == "__main__":
    _main(*sys.argv[1:])
