"""What stat, listxattr and read say of every file below a directory, for comparing two trees.

Used by: mount and compat tests. The walk runs in a child process, so that a mount
that hangs costs a time-out and not the test run.
"""

import hashlib
import os
import pickle
import stat
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Facts:
    """One file. ``linked`` are the paths of its hard links, itself included; () for directories."""

    kind: int
    mode: int
    uid: int
    gid: int
    size: int
    mtime_ns: int
    device: int
    target: bytes
    xattrs: tuple[tuple[str, bytes], ...]
    content: str
    links: int
    linked: tuple[bytes, ...]


Tree = Mapping[bytes, Facts]


def of(root: str | os.PathLike[str], *, timeout: float = 100) -> Tree:
    """Facts of every file below *root*; "." is *root* itself."""
    command = [sys.executable, "-c", f"import {__name__} as facts; facts.main()", os.fspath(root)]
    done = subprocess.run(
        command, cwd=Path(__file__).parents[2], capture_output=True, timeout=timeout, check=False
    )
    assert done.returncode == 0, os.fsdecode(done.stderr)
    tree: Tree = pickle.loads(done.stdout)
    return tree


def here(root: str | os.PathLike[str]) -> Tree:
    """The same without a child process: for directories that no daemon of a test serves."""
    return _walk(os.fsencode(root))


def differences(ours: Tree, theirs: Tree, limit: int = 20) -> Sequence[str]:
    """What is not equal, in words; empty if the trees are the same."""
    return [text for _, text in zip(range(limit), _differences(ours, theirs), strict=False)]


def _differences(ours: Tree, theirs: Tree) -> Iterator[str]:
    yield from (f"{path!r}: only in ours" for path in sorted(ours.keys() - theirs.keys()))
    yield from (f"{path!r}: missing in ours" for path in sorted(theirs.keys() - ours.keys()))
    for path in sorted(ours.keys() & theirs.keys()):
        for field in fields(Facts):
            our, their = getattr(ours[path], field.name), getattr(theirs[path], field.name)
            if our != their:
                yield f"{path!r}: {field.name} is {our!r}, not {their!r}"


def _walk(root: bytes) -> dict[bytes, Facts]:
    stats = {b".": os.lstat(root + b"/.")}
    waiting = [b""]
    while waiting:
        directory = waiting.pop()
        for name in os.listdir(root + b"/" + directory):
            path = directory + name
            stats[path] = os.lstat(root + b"/" + path)
            if stat.S_ISDIR(stats[path].st_mode):
                waiting.append(path + b"/")
    groups: defaultdict[tuple[int, int], list[bytes]] = defaultdict(list)
    for path, found in stats.items():
        if not stat.S_ISDIR(found.st_mode):
            groups[found.st_dev, found.st_ino].append(path)
    linked = {path: tuple(sorted(group)) for group in groups.values() for path in group}
    return {path: _facts(root + b"/" + path, s, linked.get(path, ())) for path, s in stats.items()}


def _facts(path: bytes, found: os.stat_result, linked: tuple[bytes, ...]) -> Facts:
    kind = stat.S_IFMT(found.st_mode)
    directory = kind == stat.S_IFDIR
    names = os.listxattr(path, follow_symlinks=False)
    return Facts(
        kind=kind,
        mode=stat.S_IMODE(found.st_mode),
        uid=found.st_uid,
        gid=found.st_gid,
        size=0 if directory else found.st_size,
        mtime_ns=found.st_mtime_ns,
        device=found.st_rdev if kind in {stat.S_IFCHR, stat.S_IFBLK} else 0,
        target=os.readlink(path) if kind == stat.S_IFLNK else b"",
        xattrs=tuple((n, os.getxattr(path, n, follow_symlinks=False)) for n in sorted(names)),
        content=_digest(path) if kind == stat.S_IFREG else "",
        links=0 if directory else found.st_nlink,
        linked=linked,
    )


def _digest(path: bytes) -> str:
    with Path(os.fsdecode(path)).open("rb") as file:
        return hashlib.file_digest(file, "blake2b").hexdigest()


def main() -> None:
    """The child's part: walk the directory named on the command line, write the facts."""
    sys.stdout.buffer.write(pickle.dumps(_walk(os.fsencode(sys.argv[1]))))
