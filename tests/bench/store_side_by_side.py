"""Side by side in one run: storagefs and the Go command on the same layer and the same records.

Used by: scripts/bench store, for people who ask what an operation costs; needs root. Rounds are
interleaved and ratios are taken within a round, so that a busy moment of the machine meets all.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path

from tests.bench import creating, scenes
from tests.bench.measuring import Goal, Sample, print_goals, run_quietly
from tests.bench.scenes import GO, IMAGE, LAYER, OURS, UNSYNCED, Scene, Tool
from tests.support import bigstore, capabilities, debian, mounttable, process
from tests.support.gotools import GoTools, Roots
from tests.support.mounted import Mounted

TOOLS = (GO, OURS, UNSYNCED)
SIZES = (0, 1_000, 10_000)
LARGE_BYTES = 1 << 30
PEAK_MIB = 100
LIFE = 3600.0


@dataclass(slots=True)
class Row:
    """One scene: medians by tool, and the medians of ours / Go within the rounds."""

    name: str
    seconds: dict[str, float]
    ratios: dict[str, float]
    cpu_ratios: dict[str, float]


@dataclass(slots=True)
class Report:
    """All rows; single numbers; goals."""

    rows: list[Row] = field(default_factory=list)
    numbers: dict[str, float] = field(default_factory=dict)
    goals: list[Goal] = field(default_factory=list)


@dataclass(slots=True)
class Bench:
    """One run in a scratch directory of its own."""

    work: Path
    rounds: int
    stack: ExitStack
    report: Report = field(default_factory=Report)

    def compare(self, found: Iterable[Scene], tools: Sequence[Tool]) -> None:
        """Play each scene with each tool, in turns, and note what came out."""
        for scene in found:
            samples: dict[str, list[Sample]] = {tool.name: [] for tool in tools}
            for number in range(self.rounds + 1):
                for tool in _turned(tools, number):
                    sample = scenes.play(scene, tool, os.sync)
                    if number:  # the first round only warms up
                        samples[tool.name].append(sample)
            self._note(scene, samples)

    def _note(self, scene: Scene, samples: dict[str, list[Sample]]) -> None:
        row = Row(
            scene.name,
            {
                tool: statistics.median(one.seconds for one in taken)
                for tool, taken in samples.items()
            },
            _ratios(samples, lambda sample: sample.seconds),
            _ratios(samples, lambda sample: sample.cpu_seconds),
        )
        self.report.rows.append(row)
        print(line_of(row), file=sys.stderr, flush=True)  # it takes long
        if scene.goal is not None:
            for tool in (OURS, UNSYNCED):
                what = f"{scene.name}: {tool} / {GO}"
                self.report.goals.append(Goal(what, row.ratios[tool], scene.goal))
        if scene.name.startswith("apply"):
            peak = max(sample.peak_mib for sample in samples[OURS])
            self.report.goals.append(Goal(f"{scene.name}: peak MiB", peak, PEAK_MIB))

    def debian_layer(self) -> None:
        """Apply, diff, changes and delete of the lowest layer of the Debian image."""
        tools = []
        for name in TOOLS:
            roots = Roots(self.work / f"debian-{name}", self.work / "run" / f"debian-{name}")
            debian.copy_store(roots.graph)
            tools.append(Tool(name, roots))
        base = _layer_of(tools[0].roots, debian.BASE)
        archives = self._archives(GoTools(tools[0].roots), base)
        self.compare(scenes.of_layer(base, archives), tools)
        self._large_layer(tools[-1])

    def _archives(self, go: GoTools, base: str) -> dict[str, Path]:
        plain = self.work / "layer.tar"
        go.storage("diff", "--uncompressed", "--file", str(plain), base)
        gzip, zstd = self.work / "layer.tar.gz", self.work / "layer.tar.zst"
        script = f"gzip -c {plain} >{gzip} && zstd -q -c {plain} >{zstd}"
        process.run(["sh", "-c", script], timeout=120)
        return {"plain": plain, "gzip": gzip, "zstd": zstd}

    def _large_layer(self, tool: Tool) -> None:
        """The memory that a layer of a GiB takes."""
        content, path = self.work / "large", self.work / "large.tar"
        content.touch()
        os.truncate(content, LARGE_BYTES)
        process.run(["tar", "-C", str(self.work), "-cf", str(path), content.name], timeout=300)
        sample = run_quietly(tool.command("import-layer", "--file", str(path)))
        path.unlink()
        self.report.goals.append(Goal("import of a GiB: peak MiB", sample.peak_mib, PEAK_MIB))

    def record_stores(self) -> None:
        """List, create and delete in stores of all sizes; the mounted tree on the largest."""
        for layers in SIZES:
            tools = []
            for name in TOOLS:
                where = f"{layers}-{name}"
                roots = Roots(self.work / where, self.work / "run" / where)
                bigstore.make(roots, layers, with_directories=False)
                go = GoTools(roots)
                go.storage("create-layer", "--name", LAYER)
                go.storage("create-image", "--name", IMAGE, LAYER)
                tools.append(Tool(name, roots))
            self.compare(scenes.of_records(layers), tools)
            for tool in tools:
                for way, rate in creating.rates(tool).items():
                    what = f"creates a second at {layers:,}, {tool.name}, {way}"
                    self.report.numbers[what] = rate
                    print(f"{what}: {rate:.1f}", file=sys.stderr, flush=True)
        self._mounted_tree(tools[TOOLS.index(OURS)].roots)

    def _mounted_tree(self, roots: Roots) -> None:
        """What one system call or two on the mount cost beside a Go command."""
        mounted = Mounted(roots, self.work / "tree", self.work / "tree.log", limit=LIFE).start()
        self.stack.callback(mounted.close)
        place = mounted.where / "images" / IMAGE / "containers/c"
        container = mounted.where / "containers/c"
        made: list[float] = []
        read: list[float] = []
        for _ in range(max(self.rounds, 5)):
            started = time.perf_counter()
            place.mkdir()
            made.append(time.perf_counter() - started)
            started = time.perf_counter()
            (container / "info.json").read_bytes()
            read.append(time.perf_counter() - started)
            container.rmdir()
        for what, verb, times in (("mkdir", "create-container", made), ("read", "container", read)):
            go = next(
                row for row in self.report.rows if row.name == f"{verb} at {SIZES[-1]:,} layers"
            )
            self.report.numbers[f"tree at {SIZES[-1]:,} layers: {what}, ms"] = (
                statistics.median(times) * 1000
            )
            ratio = statistics.median(times) / go.seconds[GO]
            self.report.goals.append(Goal(f"{what} in the tree / Go's {verb}", ratio, 0.1))


def _turned(tools: Sequence[Tool], number: int) -> list[Tool]:
    first = number % len(tools)
    return [*tools[first:], *tools[:first]]


def _ratios(
    samples: dict[str, list[Sample]], number: Callable[[Sample], float]
) -> dict[str, float]:
    return {
        tool: statistics.median(
            number(ours) / number(theirs) for ours, theirs in zip(taken, samples[GO], strict=True)
        )
        for tool, taken in samples.items()
    }


def _layer_of(roots: Roots, name: str) -> str:
    images = json.loads((roots.graph / "overlay-images" / "images.json").read_text())
    return str(next(image["layer"] for image in images if name in image["names"]))


def rate_goals(numbers: dict[str, float]) -> list[Goal]:
    """As many creates a second as the Go tool, with ``sync=none``: by processes that live on."""
    found = []
    for layers in SIZES:
        what = f"creates a second at {layers:,}"
        theirs, ours = (
            numbers[f"{what}, {tool}, {way}"]
            for tool, way in ((GO, "commands"), (UNSYNCED, "library"))
        )
        found.append(Goal(f"{what}: {GO} / {UNSYNCED}", theirs / ours, 1))
    return found


def line_of(row: Row) -> str:
    """One line of the table."""
    line = "".join(f"{row.seconds[tool] * 1000:>18.1f}" for tool in TOOLS)
    line += "".join(f"{row.ratios[tool]:>18.2f}" for tool in (OURS, UNSYNCED))
    return f"{row.name:<34}{line}{row.cpu_ratios[OURS]:>18.2f}"


def print_report(report: Report) -> None:
    """The report for people."""
    heads = [f"{tool}, ms" for tool in TOOLS]
    heads += [f"{tool}/{GO}" for tool in (OURS, UNSYNCED)] + [f"CPU {OURS}/{GO}"]
    print(f"{'median':<34}" + "".join(f"{head:>18}" for head in heads))
    for row in report.rows:
        print(line_of(row))
    print()
    for what, value in report.numbers.items():
        print(f"{what:<66}{value:>10.2f}")
    print()
    print_goals(report.goals)


def main() -> int:
    """Run the benchmark; 0 if it ran, whether goals are met or not."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5, help="interleaved rounds (default 5)")
    parser.add_argument("--json", action="store_true", help="print the numbers as JSON")
    parser.add_argument(
        "--only", choices=("layer", "records"), help="one half: the Debian layer, or the records"
    )
    arguments = parser.parse_args()
    for needed in ("root", "overlay", "fuse", "debian_image", "gotools"):
        if reason := capabilities.missing(needed):
            print(f"scripts/bench cannot run: {reason}", file=sys.stderr)
            return 2
    with tempfile.TemporaryDirectory(prefix="storagefs-bench-") as scratch, ExitStack() as stack:
        stack.callback(mounttable.unmount_below, scratch)
        bench = Bench(Path(scratch), arguments.rounds, stack)
        if arguments.only != "records":
            bench.debian_layer()
        if arguments.only != "layer":
            bench.record_stores()
            bench.report.goals += rate_goals(bench.report.numbers)
    if arguments.json:
        print(json.dumps(asdict(bench.report), indent=2))  # noqa: TID251 - not a file of a store
    else:
        print_report(bench.report)
    return 0


if __name__ == "__main__":
    sys.exit(main())
