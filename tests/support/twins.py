"""Two stores that get the same command lines: one from the Go tool, the other from ours.

Used by: tests/compat/test_cli_*.py, with the fixtures of tests/compat/conftest.py.
"""

import io
import os
import re
import tarfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.commandline import Storagefs
from tests.support.gotools import GoTools, Roots

one_driver = pytest.mark.parametrize("twins", ["vfs"], indirect=True)
"""For what is about records alone."""

_TIME = re.compile(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
_RANDOM = re.compile(rb"\b[0-9a-f]{64}\b")


@dataclass(frozen=True, slots=True)
class Answer:
    """What one of the two said, without what differs between any two stores."""

    code: int
    out: bytes
    err: bytes


@dataclass(frozen=True, slots=True)
class Twins:
    """The two stores; *driver* is that of both."""

    base: Path
    driver: str

    @property
    def go(self) -> GoTools:
        """The Go tool on its store."""
        return GoTools(Roots(self.base / "go" / "graph", self.base / "go" / "run"), self.driver)

    @property
    def ours(self) -> Storagefs:
        """Our command on its store."""
        ours = Roots(self.base / "us" / "graph", self.base / "us" / "run")
        return Storagefs(ours, self.driver)

    def both(self, *words: str, stdin: bytes = b"") -> tuple[Answer, Answer]:
        """What the Go tool and ours say to the same command line."""
        theirs = self.go.run("containers-storage", *words, check=False, stdin=stdin)
        done = self.ours(*words, stdin=stdin)
        return (
            self._plain(theirs.returncode, theirs.stdout, theirs.stderr, "go"),
            self._plain(done.code, done.out, done.err, "us"),
        )

    def same(self, *words: str, stdin: bytes = b"") -> Answer:
        """The answer that both give: exit code and standard output are equal."""
        theirs, ours = self.both(*words, stdin=stdin)
        if (ours.code, ours.out) != (theirs.code, theirs.out):
            raise AssertionError(f"{' '.join(words)}\nGo tool: {theirs}\nours:    {ours}")
        return ours

    def same_lines(self, *words: str) -> None:
        """Both give the same lines, which the Go tool does in the order of a hash table."""
        theirs, ours = self.both(*words)
        if sorted(ours.out.splitlines()) != sorted(theirs.out.splitlines()):
            raise AssertionError(f"{' '.join(words)}\nGo tool: {theirs}\nours:    {ours}")

    def fail(self, *words: str, stdin: bytes = b"") -> Answer:
        """Our answer where both end with the same exit code, but word it in their own ways."""
        theirs, ours = self.both(*words, stdin=stdin)
        if ours.code != theirs.code or not ours.code:
            raise AssertionError(f"{' '.join(words)}\nGo tool: {theirs}\nours:    {ours}")
        return ours

    def _plain(self, code: int, out: bytes, err: bytes, name: str) -> Answer:
        place = os.fsencode(self.base / name)
        plain = _TIME.sub(b"TIME", out.replace(place, b"BASE"))
        return Answer(code, _in_order(plain), err)


def _in_order(text: bytes) -> bytes:
    """*text* with random IDs numbered as they come."""
    seen: dict[bytes, bytes] = {}
    return _RANDOM.sub(lambda match: seen.setdefault(match[0], b"ID%d" % len(seen)), text)


def archive(**files: bytes) -> bytes:
    """A tar archive with these files."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as tar:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size, info.mtime = len(data), 1_600_000_000
            tar.addfile(info, io.BytesIO(data))
    return made.getvalue()
