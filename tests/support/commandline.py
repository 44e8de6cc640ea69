"""``storagefs`` called inside the test process: quick enough to run it hundreds of times.

Used by: unit tests of the command line, compat tests against the Go tool.
"""

import io
import sys
from dataclasses import dataclass
from typing import NamedTuple

import pytest

from backend.cli import command
from fusefs.verbs import VERBS
from tests.support.gotools import Roots


class Done(NamedTuple):
    """How a call ended, and what it wrote."""

    code: int
    out: bytes
    err: bytes

    @property
    def text(self) -> str:
        """Standard output as text."""
        return self.out.decode("utf-8", "surrogateescape")


@dataclass(frozen=True, slots=True)
class Storagefs:
    """The command on one store, with an environment of its own."""

    roots: Roots
    driver: str = "vfs"

    def __call__(self, *words: str, stdin: bytes = b"") -> Done:
        """Run it on the store."""
        flags = (f"--graph={self.roots.graph}", f"--run={self.roots.run}")
        return run(*flags, f"--storage-driver={self.driver}", *words, stdin=stdin)


def run(*words: str, stdin: bytes = b"") -> Done:
    """Run it with these words; standard streams are in memory."""
    out, err = io.BytesIO(), io.BytesIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        patch.setattr(sys, "stdout", io.TextIOWrapper(out))
        patch.setattr(sys, "stderr", io.TextIOWrapper(err))
        code = command.run(words, program="storagefs", verbs=VERBS)
        return Done(code, out.getvalue(), err.getvalue())
