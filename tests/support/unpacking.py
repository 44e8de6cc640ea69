"""Unpacking an archive with the library, and a directory beside the root that must stay as it is.

Used by: conformance tests of unpacking.
"""

import io
import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from drivers.archive.apply import apply
from drivers.archive.unpack import Unpacker, UnpackOptions
from drivers.protocol import Whiteouts
from tests.support import hostile, treefacts
from tests.support.gotools import GoTools
from tests.support.hostile import Member

WHITEOUTS = {"overlay": Whiteouts.OVERLAY, "remove": Whiteouts.REMOVE, "keep": Whiteouts.KEEP}
DRIVERS = {"overlay": "overlay", "remove": "vfs"}
"""Which driver of the Go tools deals with whiteouts in which way."""
_PLAIN = UnpackOptions()
_HOUR = 3_600_000_000_000


def unpack(
    root: Path, data: bytes, whiteouts: str = "overlay", options: UnpackOptions = _PLAIN
) -> None:
    """Unpack the archive *data* into *root*. Raises what the library raises."""
    fd = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with Unpacker(fd, whiteouts=WHITEOUTS[whiteouts], options=options) as sink:
            apply(io.BytesIO(data), sink, io.BytesIO())
    finally:
        os.close(fd)


class Box:
    """A new root, and beside it ``outside``, where nothing may change."""

    def __init__(self, base: Path) -> None:
        self.root, self.outside = base / "root", base / "outside"
        self.root.mkdir()
        self.root.chmod(0o555)
        (self.outside / "sub").mkdir(parents=True)
        (self.outside / "secret").write_text("secret")
        (self.outside / "secret").chmod(0o600)
        self._before = treefacts.here(self.outside)

    def unpack(self, members: Sequence[Member], whiteouts: str) -> None:
        """Unpack an archive of *members* into the root."""
        unpack(self.root, hostile.archive(members, os.fsencode(self.outside)), whiteouts)

    def is_intact(self) -> bool:
        """Whether all outside is what it was, its times included."""
        return treefacts.here(self.outside) == self._before


@dataclass(frozen=True, slots=True)
class GoLayers:
    """Layers that ``containers-storage import-layer`` makes."""

    go: GoTools
    _known: dict[bytes, str]

    def content(self, data: bytes, lower: bytes = b"", *options: str) -> Path | None:
        """Where the content of a layer made of the archive *data* is; None if it is refused."""
        words = [*options, self._lower(lower)] if lower else list(options)
        done = self.go.run("containers-storage", "import-layer", *words, check=False, stdin=data)
        if done.returncode != 0:
            return None
        return self._content(os.fsdecode(done.stdout).strip())

    def in_place(self, *archives: bytes) -> Path | None:
        """The content of a layer that got *archives* one after the other; None if refused."""
        layer = self.go.storage("create-layer").split()[0]
        for data in archives:
            words = ("applydiff", layer)
            if self.go.run("containers-storage", *words, check=False, stdin=data).returncode:
                return None
        return self._content(layer)

    def _content(self, layer: str) -> Path:
        graph = self.go.roots.graph
        if self.go.driver == "overlay":
            return graph / "overlay" / layer / "diff"
        return graph / "vfs" / "dir" / layer

    def _lower(self, data: bytes) -> str:
        if data not in self._known:
            done = self.go.run("containers-storage", "import-layer", stdin=data)
            self._known[data] = os.fsdecode(done.stdout).strip()
        return self._known[data]


def lasting(root: Path, since_ns: int) -> treefacts.Tree:
    """Facts of *root* without times that only say when it was unpacked, since *since_ns*.

    The time of the root itself is the driver's in the Go tools; a whiteout has none in an archive.
    """
    now = range(since_ns, since_ns + _HOUR)
    return {
        path: replace(facts, mtime_ns=-1)
        if path == b"."
        or facts.mtime_ns in now
        or (facts.kind == stat.S_IFCHR and not facts.device)
        else facts
        for path, facts in treefacts.here(root).items()
    }
