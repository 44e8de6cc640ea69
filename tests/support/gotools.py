"""The real tools on one graph root and run root, never on the machine's own store.

Used by: compat and mount tests, the Debian image, scripts/record_golden.py and scripts/bench.
"""

import json
import os
import subprocess
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support import process

_LIMITS = ("--ulimit=nofile=1024:1024", "--ulimit=nproc=1000:1000")
_RUN = ("--cgroups=disabled", "--network=none", *_LIMITS)
"""What podman needs to run a container inside a container: no cgroups, no raised limits."""


@dataclass(frozen=True, slots=True)
class Roots:
    """Where one store lives. Neither directory needs to exist yet."""

    graph: Path
    run: Path


@dataclass(frozen=True, slots=True)
class GoTools:
    """containers-storage, podman, buildah and skopeo on *roots*; every call has a time limit."""

    roots: Roots
    driver: str = "overlay"
    timeout: float = 120
    environment: dict[str, str] = field(default_factory=dict)

    def storage(self, *words: str, check: bool = True, stdin: bytes | None = None) -> str:
        """Standard output of ``containers-storage WORDS``."""
        return os.fsdecode(self.run("containers-storage", *words, check=check, stdin=stdin).stdout)

    def storage_json(self, *words: str) -> Any:
        """``containers-storage WORDS`` as decoded JSON (give ``--json`` yourself); [] if none."""
        return json.loads(self.storage(*words).strip() or "[]") or []

    def podman(self, *words: str, check: bool = True) -> str:
        """Standard output of ``podman WORDS``, stripped."""
        return os.fsdecode(self.run("podman", *words, check=check).stdout).strip()

    def podman_run(self, *words: str) -> str:
        """``podman run WORDS`` in a private mount namespace whose cgroup tree podman accepts.

        What the program printed comes from the container's log: on a busy machine podman attaches
        to a short one too late to hear it.
        """
        script = 'umount /sys/fs/cgroup/unified 2>/dev/null; exec "$@"'
        with tempfile.TemporaryDirectory() as place:
            log = Path(place, "log")
            logged = ("--log-driver=k8s-file", f"--log-opt=path={log}")
            podman = self.command("podman", "run", *_RUN, *logged, *words)
            self._started(["unshare", "-m", "sh", "-c", script, "sh", *podman])
            lines = [line.split(" ", 3) for line in log.read_text().splitlines()]
        return "\n".join(text for _, stream, _, text in lines if stream == "stdout").strip()

    def buildah(self, *words: str, check: bool = True) -> str:
        """Standard output of ``buildah WORDS``, stripped."""
        return os.fsdecode(self.run("buildah", *words, check=check).stdout).strip()

    def skopeo(self, *words: str) -> bytes:
        """Standard output of ``skopeo WORDS``, as it came."""
        return self.run("skopeo", *words).stdout

    def image(self, reference: str) -> str:
        """skopeo's name for *reference* in this store."""
        return f"containers-storage:[{self.driver}@{self.roots.graph}+{self.roots.run}]{reference}"

    def shutdown(self) -> None:
        """Undo the bind mount that opening an overlay store leaves."""
        self.storage("shutdown", check=False)

    def command(self, tool: str, *words: str) -> list[str]:
        """The command line of *tool* for this store."""
        graph, run = os.fspath(self.roots.graph), os.fspath(self.roots.run)
        if tool == "containers-storage":
            return [tool, "--graph", graph, "--run", run, "--storage-driver", self.driver, *words]
        if tool == "skopeo":
            return [tool, *words]
        return [tool, "--root", graph, "--runroot", run, "--storage-driver", self.driver, *words]

    def run(
        self, tool: str, *words: str, check: bool = True, stdin: bytes | None = None
    ) -> subprocess.CompletedProcess[bytes]:
        """Run *tool* for this store; fail with its output unless *check* is off."""
        return self._started(self.command(tool, *words), check=check, stdin=stdin)

    def _started(
        self, command: list[str], *, check: bool = True, stdin: bytes | None = None
    ) -> subprocess.CompletedProcess[bytes]:
        return process.run(
            command,
            stdin=stdin,
            timeout=self.timeout,
            check=check,
            environment=self.environment,
        )
