"""Views of plain directories: identity, confinement, descriptors, what happens behind our back."""

import errno
import os
import stat
from pathlib import Path

import pytest

from fusefs.nodes.base import LONG, AttributeChange, Caller, Directory, File, Node
from fusefs.nodes.passthrough import BackedDirectory, RootDirectory
from fusefs.nodes.passthrough_view import Descriptors, View
from tests.support.posixsubject import refuses

ME = Caller(uid=os.getuid(), gid=os.getgid(), pid=os.getpid())


def show(
    path: Path, key: str = "one", *, writable: bool = False, descriptors: Descriptors | None = None
) -> RootDirectory:
    view = View(
        key,
        lambda: os.open(path, os.O_PATH | os.O_DIRECTORY),
        writable=writable,
        immutable=not writable,
        descriptors=descriptors or Descriptors(),
    )
    return RootDirectory(view, 7)


def below(directory: Node, name: bytes) -> BackedDirectory:
    assert isinstance(directory, Directory)
    child = directory.child(name)
    assert isinstance(child, BackedDirectory)
    return child


def numbers(directory: BackedDirectory) -> dict[bytes, int]:
    listing = directory.open(ME)
    found = listing.batch(0, len(listing.names))
    assert found is not None
    return {entry.name: entry.node.ino for entry in found}


def read(node: Node) -> bytes:
    assert isinstance(node, File)
    file = node.open(os.O_RDONLY, ME)
    try:
        return file.read(0, 1 << 20)
    finally:
        file.release()


def open_descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def test_numbers_are_the_same_after_a_remount_and_differ_between_views(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        (tmp_path / name).write_text(name)
    os.link(tmp_path / "a", tmp_path / "hard")
    first = numbers(show(tmp_path))
    assert first == numbers(show(tmp_path))
    assert first[b"a"] == first[b"hard"]
    assert len(set(first.values())) == 3
    assert not set(first.values()) & set(numbers(show(tmp_path, "two")).values())
    assert all(0 < number < 1 << 63 for number in first.values())


def test_one_file_is_one_node_under_all_its_names(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("x")
    os.link(tmp_path / "a", tmp_path / "b")
    root = show(tmp_path, writable=True)
    node = root.child(b"a")
    assert root.child(b"b") is node
    root.unlink(b"b", ME)
    assert node.attributes().nlink == 1, "its other name is still known"


def test_a_tree_costs_no_descriptor_a_directory(tmp_path: Path) -> None:
    held: list[Node] = []
    for number in range(300):
        (tmp_path / f"d{number}" / "e").mkdir(parents=True)
    root = show(tmp_path, descriptors=Descriptors(limit=20))
    before = open_descriptors()
    for number in range(300):
        directory = below(below(root, b"d%d" % number), b"e")
        assert directory.names() == []
        held.append(directory)
    assert open_descriptors() - before <= 21
    assert all(node.attributes().nlink >= 1 for node in held)


def test_closing_a_view_closes_everything_and_it_opens_again(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "f").write_text("x")
    before = open_descriptors()
    root = show(tmp_path)
    node = below(root, b"d").child(b"f")
    assert isinstance(node, File)
    file = node.open(os.O_RDONLY, ME)
    assert not root.view.close_if_idle(0), "a file is open"
    file.release()
    del file
    assert not root.view.close_if_idle(60), "it was used a moment ago"
    assert root.view.close_if_idle(0)
    assert open_descriptors() == before
    assert read(node) == b"x"


def test_a_file_is_closed_though_no_descriptor_is_free(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none_free(fd: int) -> int:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    _, file = show(tmp_path, writable=True).create(b"f", 0o644, os.O_WRONLY, ME)
    assert file.write(0, b"x") == 1
    with monkeypatch.context() as patched:
        patched.setattr(os, "dup", none_free)
        file.flush()
    file.release()
    assert (tmp_path / "f").read_bytes() == b"x"


def test_a_replaced_file_is_stale_and_a_new_lookup_finds_the_new_one(tmp_path: Path) -> None:
    (tmp_path / "f").write_text("old")
    root = show(tmp_path, writable=True)
    old = root.child(b"f")
    (tmp_path / "new").write_text("new")
    os.replace(tmp_path / "new", tmp_path / "f")
    with refuses(errno.ESTALE):
        old.attributes()
    with refuses(errno.ESTALE):
        read(old)
    assert read(root.child(b"f")) == b"new"


def test_a_file_moved_by_somebody_else_is_found_by_a_lookup(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    (tmp_path / "a" / "f").write_text("x")
    root = show(tmp_path, writable=True)
    node = below(root, b"a").child(b"f")
    os.rename(tmp_path / "a" / "f", tmp_path / "b" / "f")
    with refuses(errno.ESTALE):
        node.attributes()
    assert below(root, b"b").child(b"f") is node
    assert read(node) == b"x"


def test_a_directory_that_became_a_link_to_the_outside_leads_nowhere(tmp_path: Path) -> None:
    inside, outside = tmp_path / "inside", tmp_path / "outside"
    (inside / "d" / "e").mkdir(parents=True)
    (outside / "e").mkdir(parents=True)
    (outside / "e" / "secret").write_text("secret")
    root = show(inside, writable=True, descriptors=Descriptors(limit=0))
    deep = below(below(root, b"d"), b"e")
    os.rename(inside / "d", inside / "was")
    (inside / "d").symlink_to(outside)
    with refuses(errno.ESTALE):
        deep.names()
    with refuses(errno.ESTALE):
        deep.child(b"secret")
    (inside / "d").unlink()
    (inside / "d").symlink_to("was")
    assert deep.names() == [], "the very same directory by another way is fine"


def test_links_are_never_followed(tmp_path: Path) -> None:
    (tmp_path / "inside").mkdir()
    (tmp_path / "inside" / "l").symlink_to("/etc/passwd")
    node = show(tmp_path / "inside").child(b"l")
    assert stat.S_ISLNK(node.attributes().mode)
    assert not isinstance(node, File)


def test_what_is_read_only_refuses_every_change(tmp_path: Path) -> None:
    (tmp_path / "f").write_text("x")
    (tmp_path / "d").mkdir()
    root = show(tmp_path)
    node = root.child(b"f")
    assert isinstance(node, File)
    attempts = (
        lambda: root.make_directory(b"n", 0o755, ME),
        lambda: root.create(b"n", 0o644, os.O_WRONLY, ME),
        lambda: root.make_link(b"n", b"x", ME),
        lambda: root.make_special(b"n", stat.S_IFIFO, 0, ME),
        lambda: root.make_hard_link(b"n", node, ME),
        lambda: root.unlink(b"f", ME),
        lambda: root.remove_directory(b"d", ME),
        lambda: root.rename(b"f", root, b"n", 0, ME),
        lambda: node.open(os.O_WRONLY, ME),
        lambda: node.open(os.O_RDONLY | os.O_TRUNC, ME),
        lambda: node.set_attributes(AttributeChange(mode=0), ME),
        lambda: node.set_xattr(b"user.x", b"1", 0),
        lambda: node.remove_xattr(b"user.x"),
    )
    for attempt in attempts:
        with refuses(errno.EROFS):
            attempt()
    assert sorted(os.listdir(tmp_path)) == ["d", "f"]
    assert node.attr_timeout == LONG


def test_a_listing_is_a_snapshot_with_stable_positions(tmp_path: Path) -> None:
    for number in range(10):
        (tmp_path / f"f{number}").touch()
    listing = show(tmp_path, writable=True).open(ME)
    first = listing.batch(0, 4)
    gone = os.fsdecode(listing.names[5])
    (tmp_path / gone).unlink()
    (tmp_path / "more").touch()
    rest = listing.batch(4, 20)
    assert first is not None
    assert rest is not None
    assert [entry.position for entry in (*first, *rest)] == [0, 1, 2, 3, 4, 6, 7, 8, 9]
    assert [entry.name for entry in rest] == [listing.names[n] for n in (4, 6, 7, 8, 9)]


def test_deletions_ask_first(tmp_path: Path) -> None:
    (tmp_path / "f").touch()

    def refuse(caller: Caller, name: bytes) -> None:
        del caller
        raise PermissionError(errno.EPERM, "held back", os.fsdecode(name))

    view = View("k", lambda: os.open(tmp_path, os.O_PATH), writable=True, may_delete=refuse)
    root = RootDirectory(view, 7)
    with refuses(errno.EPERM):
        root.unlink(b"f", ME)
    root.create(b"g", 0o644, os.O_WRONLY, ME)[1].release()
    assert sorted(os.listdir(tmp_path)) == ["f", "g"]


def test_between_views_a_rename_is_exdev(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    (tmp_path / "a" / "f").touch()
    one, two = show(tmp_path / "a", writable=True), show(tmp_path / "b", "two", writable=True)
    with refuses(errno.EXDEV):
        one.rename(b"f", two, b"f", 0, ME)
    with refuses(errno.EXDEV):
        two.make_hard_link(b"f", one.child(b"f"), ME)


@pytest.mark.root
def test_a_default_access_control_list_decides_the_mode(tmp_path: Path) -> None:
    entries = ((0x01, 7, 0xFFFFFFFF), (0x04, 7, 0xFFFFFFFF), (0x20, 5, 0xFFFFFFFF))
    packed = (2).to_bytes(4, "little") + b"".join(
        tag.to_bytes(2, "little") + mode.to_bytes(2, "little") + who.to_bytes(4, "little")
        for tag, mode, who in entries
    )
    root = show(tmp_path, writable=True)
    try:
        root.set_xattr(b"system.posix_acl_default", packed, 0)
    except OSError as problem:
        if problem.errno == errno.EOPNOTSUPP:
            pytest.skip("no access control lists here")
        raise
    caller = Caller(uid=1, gid=1, pid=1, umask=0)
    root.make_directory(b"d", 0o777, caller)
    assert stat.S_IMODE(os.stat(tmp_path / "d").st_mode) == 0o775
