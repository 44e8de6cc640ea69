"""Side by side in one run: the kernel's overlay, storagefs native and not, fuse-overlayfs.

Used by: scripts/bench, for people who ask what a mount costs; needs root. Prints medians, ratios
and whether each goal is met; ``--json`` gives the numbers for a script. Rounds are interleaved, so
that a busy moment of the machine meets all subjects; a ratio is the median of those of the rounds.
"""

import argparse
import json
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path

from tests.bench import requests
from tests.bench.measuring import (
    Goal,
    cpu_seconds,
    drop_caches,
    print_goals,
    storagefs,
    timed,
)
from tests.support import bigstore, capabilities, debian, mounttable, process
from tests.support.gotools import GoTools, Roots
from tests.support.mounted import Mounted

KERNEL, NATIVE, PATH, PEER = "kernel overlay", "storagefs", "native=off", "fuse-overlayfs"
STILL = "native=off,ro"
OPERATIONS = {  # nothing that prints the path of the root: those of the subjects are not as long
    "find": "cd {root} && find . -ls >/dev/null",
    "tar": "tar cf - -C {root} . 2>/dev/null | cat >/dev/null",
}
LIFE = 3600.0
WARM_RUNS = 4
Seconds = dict[str, dict[str, list[float]]]


@dataclass(slots=True)
class Report:
    """Seconds by operation, cache and subject; of one call; other numbers; goals."""

    medians: dict[str, dict[str, float]] = field(default_factory=dict)
    calls: dict[str, dict[str, float]] = field(default_factory=dict)
    numbers: dict[str, float] = field(default_factory=dict)
    goals: list[Goal] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Bench:
    """One run in a scratch directory of its own; *stack* undoes what it mounted."""

    work: Path
    stack: ExitStack
    rounds: int

    def subjects(self, roots: Roots, missing: list[str]) -> dict[str, Path]:
        """The image's root file system, served in each way that works here."""
        lowers = overlay_lowers(roots)
        found = {KERNEL: self.kernel(lowers)}
        found[NATIVE] = self.storagefs(roots, "native", "native=auto")
        found[PATH] = self.storagefs(roots, "path", "native=off")
        found[STILL] = self.storagefs(roots, "still", "native=off", "ro")
        if shutil.which("fuse-overlayfs"):
            found[PEER] = self.peer(lowers)
        else:
            missing.append("fuse-overlayfs is not installed: no comparison with it")
        return found

    def kernel(self, lowers: str) -> Path:
        """(a): overlay mounted by hand."""
        target = self.work / "kernel"
        target.mkdir()
        options = f"ro,lowerdir={lowers}"
        process.run(["mount", "-t", "overlay", "bench", "-o", options, str(target)])
        return target

    def storagefs(self, roots: Roots, name: str, *options: str) -> Path:
        """(b) and (c), and (c) as read-only as (d): the image as the mounted tree shows it."""
        log = self.work / f"{name}.log"
        mounted = Mounted(roots, self.work / name, log, options, limit=LIFE).start()
        self.stack.callback(mounted.close)
        return (mounted.where / "images" / debian.IMAGE / "rootfs").resolve()

    def peer(self, lowers: str) -> Path:
        """(d): fuse-overlayfs over the same layers."""
        target = self.work / "peer"
        target.mkdir()
        process.run(["fuse-overlayfs", "-o", f"ro,lowerdir={lowers}", str(target)])
        return target

    def compare(self, subjects: dict[str, Path]) -> Seconds:
        """Seconds of each operation, cold and warm, on each subject; the rounds in their order."""
        times: Seconds = {}
        for operation, script in OPERATIONS.items():
            commands = {
                name: ["sh", "-c", script.format(root=root)] for name, root in subjects.items()
            }
            times[f"{operation} cold"] = self._in_turns(commands, self.rounds, drop_caches)
            times[f"{operation} warm"] = self._in_turns(commands, self.rounds * WARM_RUNS)
        return times

    def _in_turns(
        self, commands: dict[str, list[str]], rounds: int, before: Callable[[], None] | None = None
    ) -> dict[str, list[float]]:
        """Every subject once a round, each round begins with another one."""
        times: dict[str, list[float]] = {name: [] for name in commands}
        order = list(commands)
        for number in range(rounds):
            for name in order[number % len(order) :] + order[: number % len(order)]:
                if before is not None:
                    before()
                times[name].append(timed(commands[name]))
        return times

    def calls(self, subjects: dict[str, Path]) -> dict[str, dict[str, float]]:
        """Seconds of single calls where FUSE answers, and what pyfuse3 alone needs for them."""
        targets = {
            name: requests.Target(subjects[name] / "home", subjects[name] / "etc/passwd")
            for name in (PATH, STILL, PEER)
            if name in subjects
        }
        with requests.alone(self.work / "alone") as empty:
            return requests.compare({requests.ALONE: empty, **targets})

    def first_touch(self, roots: Roots) -> float:
        """Median seconds of the first call on a root file system that no mount carries yet."""
        layers = json.loads((roots.graph / "overlay-layers" / "layers.json").read_text())
        touches: list[float] = []
        for number in range(3):
            where = self.work / f"touch-{number}"
            mounted = Mounted(roots, where, self.work / "touch.log", limit=LIFE).start()
            try:
                for layer in layers:
                    started = time.perf_counter()
                    os.listdir(where / "layers" / layer["id"] / "rootfs")
                    touches.append(time.perf_counter() - started)
            finally:
                mounted.close()
        return statistics.median(touches)

    def large_store(self) -> tuple[float, float]:
        """Median seconds to list 10,000 layers: ours and the Go tool's."""
        roots = Roots(self.work / "large", self.work / "large-run")
        bigstore.make(roots, 10_000, with_directories=False)
        go = GoTools(roots)
        theirs = go.command("containers-storage", "layers")
        ours: list[float] = []
        peers: list[float] = []
        for _ in range(self.rounds):
            ours.append(timed(storagefs(roots, "layers")))
            peers.append(timed(theirs))
        return statistics.median(ours), statistics.median(peers)

    def start_up(self, roots: Roots) -> tuple[float, float]:
        """Least CPU seconds of ``storagefs layers`` on a small store, and of a bare interpreter."""
        bare = [sys.executable, "-c", "pass"]
        timed(storagefs(roots, "layers"))
        ours = min(cpu_seconds(storagefs(roots, "layers")) for _ in range(4 * self.rounds))
        return ours, min(cpu_seconds(bare) for _ in range(4 * self.rounds))


def overlay_lowers(roots: Roots) -> str:
    """The layers of the image as overlay wants them, topmost first."""
    images = json.loads((roots.graph / "overlay-images" / "images.json").read_text())
    top = next(image["layer"] for image in images if debian.IMAGE in image["names"])
    home = roots.graph / "overlay"
    lower = (home / top / "lower").read_text().split(":")
    return ":".join([str(home / top / "diff"), *(str((home / low).resolve()) for low in lower)])


def measure(bench: Bench) -> Report:
    """Everything, in the order in which it is printed."""
    report = Report()
    roots = Roots(bench.work / "graph", bench.work / "run")
    debian.copy_store(roots.graph)
    report.numbers["first touch, ms"] = bench.first_touch(roots) * 1000
    subjects = bench.subjects(roots, report.missing)
    times = bench.compare(subjects)
    report.medians = {
        operation: {name: statistics.median(seconds) for name, seconds in row.items()}
        for operation, row in times.items()
    }
    report.calls = bench.calls(subjects)
    ours, bare = bench.start_up(roots)
    report.numbers["storagefs layers, CPU ms"] = ours * 1000
    report.numbers["python3 -c pass, CPU ms"] = bare * 1000
    if capabilities.missing("gotools"):
        report.missing.append("containers-storage is not installed: no comparison with it")
    else:
        large, peer = bench.large_store()
        report.numbers["list 10,000 layers, s"] = large
        report.numbers["containers-storage: the same, s"] = peer
    report.goals = [*ratios(times, report.calls), *limits(report.numbers)]
    return report


def ratios(times: Seconds, calls: dict[str, dict[str, float]]) -> Iterator[Goal]:
    """What the project promises beside its peers, against what was measured."""
    for operation, row in times.items():
        yield Goal(f"{operation}: {NATIVE} / {KERNEL}", _ratio(row[NATIVE], row[KERNEL]), 1.05)
        if PEER in row:
            limit = 1.0 if operation.startswith("find") else 1.5
            for ours in (PATH, STILL):
                yield Goal(f"{operation}: {ours} / {PEER}", _ratio(row[ours], row[PEER]), limit)
    for call, least in calls.items():
        name = f"{call}: {PATH} / {requests.ALONE}"
        yield Goal(name, least[PATH] / least[requests.ALONE], 1.25)


def _ratio(ours: Sequence[float], theirs: Sequence[float]) -> float:
    return statistics.median(one / other for one, other in zip(ours, theirs, strict=True))


def limits(numbers: dict[str, float]) -> Iterator[Goal]:
    """What the project promises about itself, against what was measured."""
    yield Goal("first touch, ms", numbers["first touch, ms"], 10)
    ratio = numbers["storagefs layers, CPU ms"] / numbers["python3 -c pass, CPU ms"]
    yield Goal("start-up: storagefs layers / python3 -c pass", ratio, 5)
    if "list 10,000 layers, s" in numbers:
        yield Goal("list 10,000 layers, s", numbers["list 10,000 layers, s"], 1)


def print_report(report: Report) -> None:
    """The report for people."""
    print_table("median, ms", report.medians, 1e3)
    print_table("one call, us", report.calls, 1e6)
    for what, value in report.numbers.items():
        print(f"{what:<48}{value:>10.2f}")
    print()
    print_goals(report.goals)
    for line in report.missing:
        print(line)


def print_table(title: str, rows: dict[str, dict[str, float]], unit: float) -> None:
    """One line for each of *rows*, which are in seconds; *unit* is how many make a second."""
    columns = list(next(iter(rows.values())))
    print(f"{title:<22}" + "".join(f"{name:>16}" for name in columns))
    for what, row in rows.items():
        print(f"{what:<22}" + "".join(f"{row[name] * unit:>16.1f}" for name in columns))
    print()


def as_json(report: Report) -> str:
    """The report for scripts."""
    document = asdict(report) | {
        "goals": [asdict(goal) | {"met": goal.met} for goal in report.goals]
    }
    return json.dumps(document, indent=2)  # noqa: TID251 - not a file of a store


def main() -> int:
    """Run the benchmark; 0 if it ran, whether goals are met or not."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5, help="interleaved rounds (default 5)")
    parser.add_argument("--json", action="store_true", help="print the numbers as JSON")
    arguments = parser.parse_args()
    for needed in ("root", "overlay", "fuse", "debian_image"):
        if reason := capabilities.missing(needed):
            print(f"scripts/bench cannot run: {reason}", file=sys.stderr)
            return 2
    with tempfile.TemporaryDirectory(prefix="storagefs-bench-") as scratch, ExitStack() as stack:
        stack.callback(mounttable.unmount_below, scratch)
        report = measure(Bench(Path(scratch), stack, arguments.rounds))
    if arguments.json:
        print(as_json(report))
    else:
        print_report(report)
    return 0


if __name__ == "__main__":
    sys.exit(main())
