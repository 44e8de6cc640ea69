"""Native mounts go when they should: idle, too many, deleted, withdrawn, unmounted, killed."""

import contextlib
import os
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from backend import open_store
from tests.support import mounttable, process, smallstore, wait
from tests.support.gotools import GoTools, Roots
from tests.support.mounted import Mounted

pytestmark = [pytest.mark.root, pytest.mark.overlay, pytest.mark.fuse]

MountStore = Callable[..., Mounted]

READER = """
import sys
with open(sys.argv[1]) as file:
    print("in", flush=True)
    sys.stdin.readline()
    print(file.read())
"""


def native(mounted: Mounted) -> set[str]:
    """Paths in the tree that carry a native mount."""
    top = str(mounted.where)
    return {m.target[len(top) + 1 :] for m in mounttable.below(top) if m.target != top}


def counts(roots: Roots) -> dict[str, int]:
    with open_store(smallstore.options(roots)) as store:
        return {mount.id: mount.count for mount in store.snapshot().mounts.values()}


def read(path: Path) -> bytes:
    return process.run(["cat", str(path)], timeout=20).stdout


def test_an_idle_mount_goes_and_its_count_with_it(roots: Roots, mount_store: MountStore) -> None:
    small = smallstore.make(roots)
    mounted = mount_store(roots, "idle=1")
    for part in (small.diff, small.rootfs, small.web):
        read(mounted.where / part / "one")
    assert native(mounted) == {small.diff, small.rootfs, small.web}
    assert list(counts(roots).values()) == [1]
    wait.until(lambda: not native(mounted), 10, "native mounts expire")
    wait.until(lambda: not counts(roots), 10, "the count is given back")
    assert read(mounted.where / small.web / "one") == b"1\n"
    assert native(mounted) == {small.web}


def test_a_run_root_that_cannot_be_written_takes_only_the_native_mounts_away(
    roots: Roots, mount_store: MountStore
) -> None:
    small = smallstore.make(roots)
    notes = roots.run / "storagefs"
    notes.mkdir(exist_ok=True)
    (notes / "1.json").write_text("of a daemon that died")
    process.run(["mount", "--bind", str(roots.run), str(roots.run)])
    try:
        process.run(["mount", "-o", "remount,ro,bind", str(roots.run)])
        mounted = mount_store(roots, "ro")
        for _ in range(3):
            assert read(mounted.where / small.web / "one") == b"1\n"
        assert native(mounted) == set()
        assert "native mounts: " in mounted.log_text()
        mounted.close()
    finally:
        mounttable.unmount_below(roots.run)


def test_a_tree_is_unmounted_though_programs_have_all_the_files_open_that_it_may_have(
    roots: Roots, mount_store: MountStore
) -> None:
    small = smallstore.make(roots)
    mounted = mount_store(roots, "native=off")
    read(mounted.where / small.web / "one")
    most = len(os.listdir(f"/proc/{mounted.pid}/fd")) + 20
    soft, hard = resource.prlimit(mounted.pid, resource.RLIMIT_NOFILE)
    assert 0 < hard - soft < most
    resource.prlimit(mounted.pid, resource.RLIMIT_NOFILE, (most - (hard - soft), most))
    with contextlib.ExitStack() as held:

        def open_all() -> None:
            for number in range(most):
                path = mounted.where / small.web / f"made{number}"
                held.callback(os.close, os.open(path, os.O_RDWR | os.O_CREAT))

        with pytest.raises(OSError, match="Too many open files"):
            open_all()
        assert mounted.stop() == 0
        assert mounttable.at(mounted.where) is None
        with contextlib.suppress(OSError):
            held.close()


def test_a_stranger_with_the_number_of_a_lost_mount_is_left_alone(
    roots: Roots, mount_store: MountStore, tmp_path: Path
) -> None:
    small = smallstore.make(roots)
    mounted = mount_store(roots)
    web = mounted.where / small.web
    read(web / "one")
    number = mounttable.at(web).id
    process.run(["umount", "-l", str(web)])
    place, strangers = tmp_path / "strangers", []
    try:
        for count in range(20):  # the kernel gives free numbers to the next mounts
            stranger = place / str(count)
            stranger.mkdir(parents=True)
            process.run(["mount", "-t", "tmpfs", "stranger", str(stranger)])
            strangers.append(stranger)
            if mounttable.at(stranger).id == number:
                break
        else:
            pytest.fail("no mount was given the number")
        os.rmdir(web.parent)
        assert [mounttable.at(one) is not None for one in strangers] == [True] * len(strangers)
    finally:
        mounttable.unmount_below(place)
    assert counts(roots) == {}


def test_a_mount_in_use_stays(roots: Roots, mount_store: MountStore) -> None:
    small = smallstore.make(roots)
    mounted = mount_store(roots, "idle=0.4")
    script = f"cd {mounted.where / small.web}; echo in; read x; ls two"
    user = subprocess.Popen(
        ["sh", "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert user.stdout is not None
    assert user.stdout.readline() == "in\n"
    read(mounted.where / small.rootfs / "one")
    wait.until(lambda: native(mounted) == {small.web}, 10, "only the one in use is left")
    out, _ = user.communicate("\n", timeout=10)
    assert out == "two\n"
    wait.until(lambda: not native(mounted), 10, "it goes after its last user")


def test_no_more_than_native_max_and_the_oldest_goes_first(
    roots: Roots, mount_store: MountStore
) -> None:
    smallstore.make(roots, containers=5)
    mounted = mount_store(roots, "native_max=2")
    for name in ("web", "web1", "web2", "web3"):
        assert read(mounted.where / f"containers/{name}/rootfs/two") == b"2\n"
    assert native(mounted) == {"containers/web2/rootfs", "containers/web3/rootfs"}
    assert sum(counts(roots).values()) == 2


def test_no_more_than_native_max_when_many_are_touched_at_once(
    roots: Roots, mount_store: MountStore
) -> None:
    smallstore.make(roots, containers=6)
    mounted = mount_store(roots, "native_max=2")
    names = ("web", "web1", "web2", "web3", "web4", "web5")
    paths = " ".join(str(mounted.where / f"containers/{name}/rootfs/two") for name in names)
    with (mounted.where / "containers/web/rootfs/two").open() as held:
        script = f"for one in {paths}; do cat $one & done; wait"
        assert process.run(["sh", "-c", script], timeout=60).stdout == b"2\n" * len(names)
        assert len(native(mounted)) <= 2
        assert "containers/web/rootfs" in native(mounted)
        assert held.read() == "2\n"
    assert sum(counts(roots).values()) <= len(names)


def test_with_all_of_native_max_in_use_the_fuse_path_serves(
    roots: Roots, mount_store: MountStore
) -> None:
    smallstore.make(roots, containers=2)
    mounted = mount_store(roots, "native_max=1")
    with (mounted.where / "containers/web/rootfs/two").open() as held:
        other = mounted.where / "containers/web1/rootfs"
        process.run(["sh", "-c", f"cat {other}/two; echo x > {other}/new; ls -l {other}"])
        assert native(mounted) == {"containers/web/rootfs"}
        assert held.read() == "2\n"


def test_rmdir_deletes_a_container_that_is_natively_mounted(
    roots: Roots, mount_store: MountStore
) -> None:
    small = smallstore.make(roots)
    mounted = mount_store(roots)
    read(mounted.where / small.web / "one")
    process.run(["rmdir", str(mounted.where / "containers/web")], timeout=20)
    assert native(mounted) == set()
    assert not counts(roots)
    assert process.run(["ls", str(mounted.where / "containers")]).stdout.split() == [b"by-id"]


def test_rmdir_of_a_container_with_a_process_inside_is_refused(
    roots: Roots, mount_store: MountStore
) -> None:
    small = smallstore.make(roots)
    mounted = mount_store(roots)
    with (mounted.where / small.web / "one").open():
        done = process.run(["rmdir", str(mounted.where / "containers/web")], check=False)
        assert done.returncode == 1
        assert b"busy" in done.stderr
    assert read(mounted.where / small.web / "one") == b"1\n"


def test_rm_r_of_a_container_does_not_empty_it(roots: Roots, mount_store: MountStore) -> None:
    small = smallstore.make(roots)
    mounted = mount_store(roots)
    before = sorted(os.listdir(mounted.where / small.web))
    assert native(mounted) == {small.web}
    done = process.run(["rm", "-rf", str(mounted.where / "containers/web")], check=False)
    assert done.returncode != 0
    assert sorted(os.listdir(mounted.where / small.web)) == before
    assert read(mounted.where / small.web / "etc/passwd").startswith(b"root")


def test_sigterm_takes_everything_away(roots: Roots, mount_store: MountStore) -> None:
    small = smallstore.make(roots)
    mounted = mount_store(roots)
    for part in (small.diff, small.rootfs, small.web):
        read(mounted.where / part / "one")
    assert mounted.stop() == 0
    assert mounttable.below(mounted.where) == []
    assert not counts(roots)
    assert [n for n in os.listdir(roots.run / "storagefs") if n.endswith(".json")] == []


def test_plain_umount_is_busy_while_native_mounts_exist(
    roots: Roots, mount_store: MountStore
) -> None:
    small = smallstore.make(roots)
    mounted = mount_store(roots, "idle=0.4")
    read(mounted.where / small.web / "one")
    assert b"busy" in process.run(["umount", str(mounted.where)], check=False).stderr
    wait.until(lambda: not native(mounted), 10, "native mounts expire")
    process.run(["umount", str(mounted.where)])
    assert mounted.child is not None
    assert mounted.child.wait(10) == 0


def test_after_kill_the_next_daemon_gives_back_what_the_dead_one_held(
    roots: Roots, mount_store: MountStore
) -> None:
    small = smallstore.make(roots)
    with open_store(smallstore.options(roots)) as store:
        store.mounts.mount("web")  # somebody else's
    first = mount_store(roots)
    read(first.where / small.web / "one")
    assert list(counts(roots).values()) == [2]
    first.kill()
    assert native(first) == {small.web}, "the dead tree is still there"
    second = mount_store(roots)
    assert second.where == first.where
    assert native(second) == set()
    assert list(counts(roots).values()) == [1]
    assert read(second.where / small.web / "one") == b"1\n"
    assert list(counts(roots).values()) == [2]
    assert second.stop() == 0
    assert list(counts(roots).values()) == [1]


def test_a_living_daemon_keeps_what_it_holds_when_another_starts(
    roots: Roots, mount_store: MountStore
) -> None:
    small = smallstore.make(roots)
    first = mount_store(roots, name="one")
    read(first.where / small.web / "one")
    second = mount_store(roots, name="two")
    read(second.where / small.web / "one")
    assert list(counts(roots).values()) == [2]
    assert native(first) == native(second) == {small.web}
    (first.where / small.web / "new").write_text("x")
    assert read(second.where / small.web / "new") == b"x"
    assert first.stop() == 0
    assert list(counts(roots).values()) == [1]


@pytest.mark.gotools
def test_counts_are_those_of_the_go_tools(roots: Roots, mount_store: MountStore) -> None:
    small = smallstore.make(roots)
    go = GoTools(roots)
    mounted = mount_store(roots, "idle=0.6")
    read(mounted.where / small.web / "one")
    place = go.storage("mount", "web").strip()
    assert Path(place, "one").read_text() == "1\n"
    wait.until(lambda: not native(mounted), 10, "native mounts expire")
    wait.until(lambda: list(counts(roots).values()) == [1], 10, "our count is given back")
    assert Path(place, "one").read_text() == "1\n", "the Go tool's mount is still there"
    go.storage("unmount", "web")
    assert not counts(roots)
    go.shutdown()


def test_a_renamed_container_keeps_its_mount(roots: Roots, mount_store: MountStore) -> None:
    small = smallstore.make(roots)
    mounted = mount_store(roots, "idle=1")
    read(mounted.where / small.web / "one")
    containers = mounted.where / "containers"
    process.run(["mv", str(containers / "web"), str(containers / "shop")], timeout=20)
    assert read(containers / "shop/rootfs/one") == b"1\n"
    wait.until(lambda: not native(mounted), 10, "native mounts expire")
    wait.until(lambda: not counts(roots), 10, "the count is given back")


def test_the_fuse_path_gives_its_count_back_when_idle(
    roots: Roots, mount_store: MountStore
) -> None:
    small = smallstore.make(roots)
    mounted = mount_store(roots, "native=off", "idle=0.4")
    user = subprocess.Popen(
        [sys.executable, "-c", READER, str(mounted.where / small.web / "one")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert user.stdout is not None
    assert user.stdout.readline() == "in\n"
    assert native(mounted) == set()
    with pytest.raises(AssertionError):
        wait.until(lambda: not counts(roots), 1.5, "an open file holds the count")
    assert user.communicate("\n", timeout=10)[0] == "1\n\n"
    wait.until(lambda: not counts(roots), 10, "the count is given back")
    assert read(mounted.where / small.web / "one") == b"1\n"
