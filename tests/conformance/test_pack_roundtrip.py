"""What was packed and unpacked is packed to the same bytes again, whatever the tree."""

import io
import os
import stat
import struct
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from drivers.archive.apply import apply
from drivers.archive.pack import pack_tree
from drivers.archive.packoverlay import OverlayMarks
from drivers.archive.unpack import Unpacker, UnpackOptions
from drivers.erase import erase_tree
from drivers.ids import LayerID
from drivers.linux import mount
from drivers.naive import compare
from drivers.protocol import NewLayer, Whiteouts
from tests.support import packcontent
from tests.support.driverlayers import edit_layer, fill, open_for
from tests.support.gotools import Roots
from tests.support.tarlisting import assert_same, names, undated

pytestmark = pytest.mark.root

NOT_UNPACKED = {"owners", "times"}
"""Owners beyond 2^31 are refused, and times before 1970 are 1970."""

BASE, TOP = LayerID("b" * 64), LayerID("c" * 64)

_CAPABILITY = struct.pack("<IIIII", 0x02000001, 1 << 13, 0, 0, 0)


@dataclass(frozen=True)
class File:
    """One entry of a generated tree. *content* is that of a directory, a file or a link."""

    kind: str
    content: object = b""
    mode: int = 0o644
    owner: tuple[int, int] = (0, 0)
    time_ns: int = 0
    attributes: dict[str, bytes] = field(default_factory=dict)


NAMES = st.binary(min_size=1, max_size=130).filter(
    lambda name: (
        name not in (b".", b"..")
        and not {0, ord("/")} & set(name)
        and not name.startswith((b".wh.", b"BZh"))
    )  # the latter makes readers think of bzip2
)
TARGETS = st.binary(min_size=1, max_size=130).filter(lambda target: 0 not in target)
ABOUT = {
    "mode": st.sampled_from([0o644, 0o600, 0o755, 0o4755, 0o1777, 0o7777, 0]),
    "owner": st.tuples(st.sampled_from([0, 1, 999, 65534]), st.sampled_from([0, 5, 65535])),
    "time_ns": st.integers(0, (1 << 33) + 5).map(lambda seconds: seconds * 10**9),
}
ATTRIBUTES = st.dictionaries(
    st.sampled_from(["user.a", "user.long" * 20, "user.ü"]),
    st.binary(min_size=1, max_size=120),
    max_size=2,
)
LEAVES = st.one_of(
    st.builds(File, st.just("file"), st.binary(max_size=1500), attributes=ATTRIBUTES, **ABOUT),
    st.builds(
        File, st.just("link"), st.binary(min_size=1, max_size=130).filter(lambda t: 0 not in t)
    ),
    st.builds(File, st.sampled_from(["pipe", "device", "whiteout", "capable"]), **ABOUT),
    st.builds(File, st.just("again")),
)
TREES = st.recursive(
    st.dictionaries(NAMES, LEAVES, max_size=4),
    lambda inner: st.dictionaries(
        NAMES,
        LEAVES
        | st.builds(
            File,
            st.sampled_from(["directory", "opaque"]),
            inner,
            attributes=ATTRIBUTES,
            **ABOUT,
        ),
        max_size=4,
    ),
    max_leaves=12,
)


def make(root: bytes, tree: dict[bytes, File], lower: bytes, earlier: list[bytes]) -> None:
    """Make *tree* in *root*, and its directories in *lower*: what opaque ones then hide."""
    for name, file in sorted(tree.items()):
        path = root + b"/" + name
        if file.kind == "again" and earlier:
            os.link(earlier[len(name) % len(earlier)], path, follow_symlinks=False)
            continue
        make_one(path, file, lower + b"/" + name, earlier)
        if file.kind not in ("directory", "opaque", "whiteout"):
            earlier.append(path)


def make_one(path: bytes, file: File, lower: bytes, earlier: list[bytes]) -> None:
    match file.kind:
        case "directory" | "opaque":
            os.mkdir(path)
            os.mkdir(lower)
            assert isinstance(file.content, dict)
            make(path, file.content, lower, earlier)
            if file.kind == "opaque":
                os.setxattr(path, "trusted.overlay.opaque", b"y")
        case "link":
            assert isinstance(file.content, bytes)
            os.symlink(file.content, path)
            os.utime(path, ns=(0, 10**18), follow_symlinks=False)
            return
        case "pipe":
            os.mkfifo(path)
        case "device":
            os.mknod(path, stat.S_IFBLK, os.makedev(8, 300))
        case "whiteout":
            os.mknod(path, stat.S_IFCHR, 0)
        case _:
            Path(os.fsdecode(path)).write_bytes(file.content if file.kind == "file" else b"x")
    os.chown(path, *file.owner)
    os.chmod(path, file.mode)
    if file.kind == "capable":
        os.setxattr(path, "security.capability", _CAPABILITY)
    for name, value in file.attributes.items():
        os.setxattr(path, name, value)
    if file.kind != "whiteout":  # unpacked with the present
        os.utime(path, ns=(0, file.time_ns))


@contextmanager
def scratch() -> Iterator[str]:
    """A directory for one example: three trees in it."""
    directory = tempfile.mkdtemp()
    try:
        for name in ("tree", "lower", "again"):
            os.mkdir(f"{directory}/{name}")
        yield directory
    finally:
        erase_tree(directory)


def packed(path: str, lower: str) -> bytes:
    root = os.open(path, os.O_RDONLY)
    try:
        marks = OverlayMarks(b"trusted.overlay.", [lower], lambda: -1)
        return b"".join(pack_tree(root, marks=marks))
    finally:
        os.close(root)


def unpack(archive: bytes, path: str, whiteouts: Whiteouts) -> None:
    root = os.open(path, os.O_RDONLY)
    try:
        with Unpacker(root, whiteouts=whiteouts, options=UnpackOptions()) as unpacker:
            apply(io.BytesIO(archive), unpacker, io.BytesIO())
    finally:
        os.close(root)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(tree=TREES)
def test_any_tree_comes_back_as_the_same_archive(tree: dict[bytes, File]) -> None:
    with scratch() as work:
        make(os.fsencode(work) + b"/tree", tree, os.fsencode(work) + b"/lower", [])
        archive = packed(f"{work}/tree", f"{work}/lower")
        unpack(archive, f"{work}/again", Whiteouts.OVERLAY)
        again = packed(f"{work}/again", f"{work}/lower")
        assert_same(undated(again), undated(archive))


@pytest.mark.parametrize("content", sorted(packcontent.CONTENT.keys() - NOT_UNPACKED))
def test_strange_content_comes_back_as_the_same_archive(content: str) -> None:
    with scratch() as work:
        packcontent.CONTENT[content](Path(work, "tree"))
        for path in ("file", "directory") if content == "attributes" else ():
            os.removexattr(f"{work}/tree/{path}", "user.overlay.strange")  # never unpacked
            os.removexattr(f"{work}/tree/{path}", "user.empty")  # to readers a record without value
        archive = packed(f"{work}/tree", f"{work}/lower")
        unpack(archive, f"{work}/again", Whiteouts.OVERLAY)
        assert_same(packed(f"{work}/again", f"{work}/lower"), archive)


@pytest.mark.overlay
def test_content_that_is_still_in_the_layer_below_is_in_the_archive(roots: Roots) -> None:
    """The kernel renamed directories by reference, and copied files up without their content."""
    driver = open_for(roots, "overlay", "overlay.mountopt=metacopy=on")
    driver.create(NewLayer(id=BASE, writable=True))
    edit_layer(driver, BASE, fill)
    driver.create(NewLayer(id=TOP, parent=BASE, writable=True))
    lower, upper = driver.diff_directory(BASE), driver.diff_directory(TOP)
    merged = roots.run / "merged"
    merged.mkdir(parents=True)
    where = f"lowerdir={lower},upperdir={upper},workdir={os.path.dirname(upper)}/work"
    options = f"{where},metacopy=on,redirect_dir=on"
    subprocess.run(["mount", "-t", "overlay", "none", merged, "-o", options], check=True)
    (merged / "dir").rename(merged / "moved")
    (merged / "moved" / "sub" / "new").write_text("new")
    (merged / "name with blank").chmod(0o600)
    mount.umount(os.fspath(merged), 0)
    assert "trusted.overlay.redirect" in os.listxattr(f"{upper}/moved")
    assert "trusted.overlay.metacopy" in os.listxattr(f"{upper}/name with blank")
    archive = b"".join(driver.diff(TOP, BASE))
    assert set(names(archive)) >= {".wh.dir", "moved/file", "moved/sub/file", "moved/sub/new"}
    copied = roots.run / "copied"
    subprocess.run(["cp", "-a", lower, copied], check=True)
    unpack(archive, os.fspath(copied), Whiteouts.REMOVE)
    trees = os.open(copied, os.O_RDONLY), driver.open_merged(TOP)
    assert compare(*trees) == []
    assert (copied / "name with blank").read_text() == "name with blank"
    for tree in trees:
        os.close(tree)
