"""Owners and symlinks that are not shown as stored."""

import errno
import os
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.idmap.maps import IDMap, to_container, to_host
from fusefs.nodes.base import AttributeChange, Caller, Directory, Link, Node
from fusefs.nodes.identity import AS_STORED, RAW_TARGET, Contained, Looks, Mine, rebased
from fusefs.nodes.passthrough import RootDirectory
from fusefs.nodes.passthrough_view import Descriptors, View
from tests.support.posixsubject import refuses

ROOT_AND_USERS = (IDMap(0, 5000, 1), IDMap(1000, 100_000, 10))


def show(
    path: Path, *, owners: Contained | Mine | None = None, rebase: bool = False
) -> RootDirectory:
    view = View(
        "one",
        lambda: os.open(path, os.O_PATH | os.O_DIRECTORY),
        writable=True,
        descriptors=Descriptors(),
        owners=owners,
        rebase=rebase,
    )
    return RootDirectory(view, 7)


def below(directory: Node, *names: bytes) -> Node:
    for name in names:
        assert isinstance(directory, Directory)
        directory = directory.child(name)
    return directory


@given(st.integers(0, 2000))
def test_what_a_map_has_comes_back_and_what_it_has_not_is_nobodys(identifier: int) -> None:
    host = to_host(identifier, ROOT_AND_USERS)

    assert (host is not None) == (identifier == 0 or 1000 <= identifier < 1010)
    assert host is None or to_container(host, ROOT_AND_USERS) == identifier
    assert to_container(identifier, ROOT_AND_USERS) is None  # none of these is a host ID of it
    assert to_container(identifier, ()) == to_host(identifier, ()) == identifier


@pytest.mark.parametrize(
    ("target", "depth", "shown"),
    [
        (b"/usr/bin/mawk", 2, b"../../usr/bin/mawk"),
        (b"/usr/bin/mawk", 0, b"usr/bin/mawk"),
        (b"//usr//bin/", 1, b"../usr//bin/"),
        (b"/", 0, b"."),
        (b"/", 3, b"../../.."),
        (b"/../../etc/passwd", 1, b"../etc/passwd"),
        (b"/a/../../b", 1, b"../a/../b"),
        (b"mawk", 2, b"mawk"),
        (b"../lib//x/", 2, b"../lib//x/"),
        (b"../../../etc/passwd", 1, b"../etc/passwd"),
        (b"..", 0, b"."),
    ],
)
def test_targets_stay_below_the_root_of_the_view(target: bytes, depth: int, shown: bytes) -> None:
    assert rebased(target, depth) == shown


@given(
    st.lists(st.sampled_from([b"..", b".", b"", b"a", b"b"]), min_size=1).map(b"/".join),
    st.integers(0, 5),
)
def test_no_target_leads_above_the_root(target: bytes, depth: int) -> None:
    level = depth
    shown = rebased(target or b"/", depth)
    assert shown
    assert not shown.startswith(b"/")
    for component in shown.split(b"/"):
        level += -1 if component == b".." else component not in {b"", b"."}
        assert level >= 0


def test_nothing_is_translated_unless_it_is_asked_for() -> None:
    maps = (IDMap(0, 5000, 1),)

    assert AS_STORED.owners(maps, maps) is None
    assert Looks(ids="container").owners((), ()) is None
    assert Looks(ids="container").owners(maps, maps) == Contained(maps, maps)
    assert Looks(ids="mounter", uid=7, gid=8).owners((), maps) == Mine(7, 8, (7, 5000))


@pytest.mark.root
def test_a_containers_owners_are_shown_and_what_is_made_gets_host_ids(tmp_path: Path) -> None:
    (tmp_path / "theirs").touch()
    os.chown(tmp_path / "theirs", 100_003, 5000)
    (tmp_path / "nobodys").touch()
    root = show(tmp_path, owners=Contained(ROOT_AND_USERS, ROOT_AND_USERS))

    theirs = root.child(b"theirs")
    assert (theirs.attributes().uid, theirs.attributes().gid) == (1003, 0)
    assert root.child(b"nobodys").attributes().uid == 65534
    listed = root.open(Caller(0, 0, 1)).batch(0, 9)
    assert listed is not None
    assert {entry.name: entry.attributes.uid for entry in listed} == {
        b"theirs": 1003,
        b"nobodys": 65534,
    }

    made = root.make_directory(b"made", 0o755, Caller(uid=1001, gid=1002, pid=1))
    assert (made.attributes().uid, made.attributes().gid) == (1001, 1002)
    status = (tmp_path / "made").stat()
    assert (status.st_uid, status.st_gid) == (100_001, 100_002)

    theirs.set_attributes(AttributeChange(uid=0), Caller(0, 0, 1))
    status = (tmp_path / "theirs").stat()
    assert (status.st_uid, status.st_gid) == (5000, 5000)


@pytest.mark.root
def test_whoever_the_container_does_not_know_can_make_nothing(tmp_path: Path) -> None:
    root = show(tmp_path, owners=Contained(ROOT_AND_USERS, ROOT_AND_USERS))
    stranger = Caller(uid=500, gid=0, pid=1)

    with refuses(errno.EOVERFLOW):
        root.create(b"f", 0o644, os.O_RDWR, stranger)
    with refuses(errno.EOVERFLOW):
        root.make_directory(b"d", 0o755, stranger)
    with refuses(errno.EOVERFLOW):
        root.make_link(b"l", b"x", stranger)
    with refuses(errno.EOVERFLOW):
        root.make_special(b"s", stat.S_IFIFO | 0o644, 0, stranger)

    assert os.listdir(tmp_path) == []


@pytest.mark.root
def test_the_mounting_user_owns_and_reads_everything(tmp_path: Path) -> None:
    (tmp_path / "secret").touch(0o040)
    os.chown(tmp_path / "secret", 100_003, 42)
    (tmp_path / "closed").mkdir(0o000)
    root = show(tmp_path, owners=Mine(1000, 1001, (5000, 5001)))

    secret = root.child(b"secret")
    shown = secret.attributes()
    assert (shown.uid, shown.gid, stat.S_IMODE(shown.mode)) == (1000, 1001, 0o440)
    assert stat.S_IMODE(root.child(b"closed").attributes().mode) == 0o500

    made, file = root.create(b"made", 0o640, os.O_RDWR, Caller(uid=1000, gid=1001, pid=1))
    file.release()
    assert (made.attributes().uid, made.attributes().gid) == (1000, 1001)
    status = (tmp_path / "made").stat()
    assert (status.st_uid, status.st_gid) == (5000, 5001)

    secret.set_attributes(AttributeChange(uid=1000, gid=1001), Caller(1000, 1001, 1))
    with refuses(errno.EPERM):
        secret.set_attributes(AttributeChange(uid=3), Caller(1000, 1001, 1))
    assert (tmp_path / "secret").stat().st_uid == 100_003


def test_absolute_links_stay_in_the_view_and_tell_what_is_stored(tmp_path: Path) -> None:
    (tmp_path / "usr/bin").mkdir(parents=True)
    (tmp_path / "usr/bin/awk").symlink_to("/etc/alternatives/awk")
    (tmp_path / "usr/bin/nawk").symlink_to("awk")

    link = below(show(tmp_path, rebase=True), b"usr", b"bin", b"awk")
    assert isinstance(link, Link)
    assert link.target() == b"../../etc/alternatives/awk"
    assert link.attributes().size == len(link.target())
    assert link.xattr(RAW_TARGET) == b"/etc/alternatives/awk"
    assert RAW_TARGET not in link.xattr_names()

    kept = below(show(tmp_path, rebase=True), b"usr", b"bin", b"nawk")
    assert isinstance(kept, Link)
    assert kept.target() == b"awk"

    stored = below(show(tmp_path), b"usr", b"bin", b"awk")
    assert isinstance(stored, Link)
    assert stored.target() == b"/etc/alternatives/awk"
    with pytest.raises(OSError, match=os.strerror(errno.EOPNOTSUPP)):
        stored.xattr(RAW_TARGET)


def test_a_link_that_moves_with_its_directory_is_rebased_anew(tmp_path: Path) -> None:
    (tmp_path / "a/b").mkdir(parents=True)
    (tmp_path / "a/b/link").symlink_to("/target")
    root = show(tmp_path, rebase=True)
    above = below(root, b"a")
    link = below(above, b"b", b"link")
    assert isinstance(link, Link)
    assert isinstance(above, Directory)
    assert link.target() == b"../../target"

    above.rename(b"b", root, b"b", 0, Caller(0, 0, 1))

    assert link.target() == b"../target"
