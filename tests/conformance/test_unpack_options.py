"""Owners by ID maps, user namespaces, the process's umask, and markers that stay files."""

import shlex
import subprocess
import sys
import time
from pathlib import Path

import pytest

from drivers.archive.unpack import UnpackOptions
from drivers.errors import ArchiveError
from drivers.idmap.maps import IDMap
from tests.support import hostile, treefacts
from tests.support.gotools import GoTools
from tests.support.hostile import CHAR, DIR, FIFO, HARD, LINK, Member
from tests.support.unpacking import GoLayers, lasting, unpack

pytestmark = pytest.mark.root

PROJECT = Path(__file__).parents[2]
MAPS = UnpackOptions(
    uid_map=(IDMap(0, 100_000, 500), IDMap(500, 300_000, 500)), gid_map=(IDMap(0, 200_000, 1000),)
)
MAP_WORDS = ("--uidmap", "0:100000:500:500:300000:500", "--gidmap", "0:200000:1000")
MANY_OWNERS = (
    Member(b"missing/also/f", uid=1, gid=2),
    Member(b"d", DIR, mode=0o2755, uid=499, gid=999),
    Member(b"d/f", mode=0o6755, uid=500, gid=7),
    Member(b"d/l", LINK, link=b"f", uid=501),
    Member(b"d/h", HARD, link=b"d/l", uid=502),
    Member(b"d/c", CHAR, device=(1, 3), uid=3),
    Member(b"d/p", FIFO, gid=3),
)
IN_NAMESPACE = """
import sys
from pathlib import Path
from drivers.archive.unpack import UnpackOptions
from drivers.errors import StorageError
from tests.support.unpacking import unpack
options = UnpackOptions(rootless=True, ignore_chown_errors=sys.argv[2] == "ignore",
                        xattr_prefix=b"user.overlay.")
try:
    unpack(Path(sys.argv[1]), sys.stdin.buffer.read(), options=options)
except StorageError as error:
    print(error, "/", error.remedy)
"""


@pytest.mark.gotools
def test_owners_on_disk_are_those_of_the_maps(tmp_path: Path, go_vfs: GoTools) -> None:
    data = hostile.archive(MANY_OWNERS)
    since = time.time_ns()
    theirs = GoLayers(go_vfs, {}).content(data, b"", *MAP_WORDS)
    assert theirs is not None
    root = tmp_path / "root"
    root.mkdir()

    unpack(root, data, "remove", MAPS)

    ours, expected = lasting(root, since), lasting(theirs, since)
    assert ours[b"."].uid == 0
    assert not treefacts.differences({**ours, b".": expected[b"."]}, expected)
    assert ours[b"d/f"].uid == 300_000


def test_missing_directories_in_an_overlay_layer_belong_to_the_mapped_root(tmp_path: Path) -> None:
    unpack(tmp_path, hostile.archive(MANY_OWNERS), "overlay", MAPS)

    for path in ("missing", "missing/also"):
        status = (tmp_path / path).stat()
        assert (status.st_uid, status.st_gid) == (100_000, 200_000)


@pytest.mark.gotools
@pytest.mark.parametrize("owner", [{"uid": 1000}, {"gid": 1000}])
def test_an_owner_outside_of_the_maps_is_refused(
    owner: dict[str, int], tmp_path: Path, go_vfs: GoTools
) -> None:
    data = hostile.archive([Member(b"some/file", **owner)])

    with pytest.raises(ArchiveError, match=r"'some/file'.*mapped"):
        unpack(tmp_path, data, "overlay", MAPS)

    assert GoLayers(go_vfs, {}).content(data, b"", *MAP_WORDS) is None


def _unpack_in_namespace(root: Path, data: bytes, errors: str) -> str:
    """In a user namespace that has one user and one group; what was printed."""
    command = ["unshare", "--user", "--map-root-user", sys.executable, "-c", IN_NAMESPACE]
    done = subprocess.run(
        [*command, str(root), errors],
        input=data,
        cwd=PROJECT,
        capture_output=True,
        timeout=60,
        check=True,
    )
    return done.stdout.decode()


def test_an_owner_that_a_user_namespace_lacks_is_explained(tmp_path: Path) -> None:
    printed = _unpack_in_namespace(tmp_path, hostile.archive([Member(b"f", uid=5)]), "raise")

    assert "'f'" in printed
    assert "insufficient UIDs or GIDs available in user namespace (requested 5:0)" in printed
    assert "/etc/subuid" in printed


def test_a_user_namespace_leaves_out_what_it_may_not_have(tmp_path: Path) -> None:
    members = (
        Member(b"a/f", mode=0o4755, uid=5, data=b"x", pax={b"SCHILY.xattr.trusted.x": b"y"}),
        Member(b"a/l", LINK, link=b"f", uid=6),
        Member(b"a/c", CHAR, device=(1, 3)),
        Member(b"a/p", FIFO, uid=7),
        Member(b"a/.wh..wh..opq"),
        Member(b".wh.gone", uid=8),
    )

    assert _unpack_in_namespace(tmp_path, hostile.archive(members), "ignore") == ""

    tree = treefacts.here(tmp_path)
    assert {path for path in tree if path != b"."} == {b"a", b"a/f", b"a/l", b"a/p", b"gone"}
    assert {(facts.uid, facts.gid) for facts in tree.values()} == {(0, 0)}
    assert tree[b"a/f"].xattrs == ()
    assert tree[b"a/f"].mode == 0o4755
    assert tree[b"a"].xattrs == (("user.overlay.opaque", b"y"),)


@pytest.mark.gotools
@pytest.mark.overlay
@pytest.mark.parametrize("driver", ["overlay", "vfs"])
def test_the_umask_counts_where_it_does_in_the_go_tools(
    driver: str, tmp_path: Path, go: GoTools
) -> None:
    members = (Member(b"a/b/f", mode=0o666), Member(b"d", DIR, mode=0o777), Member(b"p", FIFO))
    data = hostile.archive(members)
    tools = GoTools(go.roots, driver=driver)
    root = tmp_path / "root"
    root.mkdir()
    whiteouts = "overlay" if driver == "overlay" else "remove"
    unpacking = [sys.executable, "-c", _UNPACK_STDIN, str(root), whiteouts]

    layer = _with_umask(tools.command("containers-storage", "import-layer"), data).strip()
    _with_umask(unpacking, data)

    content = ("overlay", layer, "diff") if driver == "overlay" else ("vfs", "dir", layer)
    theirs = treefacts.here(go.roots.graph.joinpath(*content))
    ours = treefacts.here(root)
    for path in ours.keys() - {b"."}:
        assert ours[path].mode == theirs[path].mode, path
    assert ours[b"a"].mode == (0o700 if driver == "overlay" else 0o755)


_UNPACK_STDIN = """
import sys
from pathlib import Path
from tests.support.unpacking import unpack
unpack(Path(sys.argv[1]), sys.stdin.buffer.read(), sys.argv[2])
"""


def _with_umask(command: list[str], data: bytes) -> str:
    line = ["sh", "-c", f"umask 077; exec {shlex.join(command)}"]
    done = subprocess.run(
        line, input=data, cwd=PROJECT, capture_output=True, timeout=60, check=True
    )
    return done.stdout.decode()


def test_markers_stay_files_for_a_program_that_understands_them(tmp_path: Path) -> None:
    members = (
        Member(b"d/.wh.x", mode=0),
        Member(b"d/.wh..wh..opq"),
        Member(b"./", DIR, mode=0o700),
    )
    tmp_path.chmod(0o755)

    unpack(tmp_path, hostile.archive(members), "keep")

    tree = treefacts.here(tmp_path)
    assert tree.keys() == {b".", b"d", b"d/.wh.x", b"d/.wh..wh..opq"}
    assert tree[b"d"].xattrs == ()
    assert tree[b"."].mode == 0o755
