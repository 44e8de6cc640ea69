"""A user who is not root and that user's own store."""

import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import rootless

pytestmark = [pytest.mark.root, pytest.mark.rootless]

LAYER = "a" * 64
MAKE = """
import os, sys
from backend import StoreOptions, open_store
graph, run, driver = sys.argv[1:]
options = StoreOptions(graph_root=graph, run_root=run, driver=driver, rootless=True)
with open_store(options) as store:
    store.layers.create(id="a" * 64)
    base = store.driver.diff_directory("a" * 64)
    os.chmod(base, 0o755)
    for name, owner in (("mine", 0), ("theirs", 7)):
        with open(f"{base}/{name}", "w") as file:
            file.write(name)
        os.chmod(f"{base}/{name}", 0o600)
        os.chown(f"{base}/{name}", owner, owner)
    store.images.create(id="b" * 64, names=("localhost/small:1",), layer="a" * 64)
    store.containers.create(names=("web",), image="b" * 64)
"""
INSIDE = ("unshare", "--user", "--map-root-user", "--map-auto", "--mount")
"""A user namespace with all IDs of the user, as podman makes it."""


class Own:
    """The user, and a small store of that user."""

    def __init__(self, user: rootless.User, driver: str) -> None:
        self.user, self.driver = user, driver
        self.where = f"{user.home}/mnt"
        self.store = ("--graph", f"{user.home}/g", "--run", f"{user.home}/run/c")
        words = (self.store[1], self.store[3], driver)
        user.run(*INSIDE, sys.executable, "-c", MAKE, *words)
        user.run("mkdir", self.where)

    def command(self, *words: str) -> str:
        """``storagefs WORDS`` for this store, for a shell."""
        program = (sys.executable, "-m", "fusefs.cli", *self.store)
        return " ".join((*program, "--storage-driver", self.driver, *words))

    def shell(self, script: str, *before: str, check: bool = True) -> str:
        """What *script* prints, run by the user; *before* is what starts the shell."""
        done = self.user.run(*before, "sh", "-c", script, check=check, timeout=60)
        return done.stdout.decode() + ("" if check else done.stderr.decode())

    def mounted(self) -> bool:
        """Whether the user sees a mount there."""
        return f" {self.where} " in self.shell("cat /proc/self/mountinfo")

    def daemon(self) -> int:
        """Process ID of the daemon that serves it."""
        for entry in Path("/proc").glob("[0-9]*"):
            words = (entry / "cmdline").read_bytes().split(b"\0") if entry.exists() else []
            if b"fusefs.daemon" in words and os.fsencode(self.where) in words:
                return int(entry.name)
        raise AssertionError("no daemon")


@pytest.fixture
def own(request: pytest.FixtureRequest) -> Iterator[Own]:
    """A vfs store, or one of the driver that the test names."""
    with rootless.user() as user:
        mine = Own(user, getattr(request, "param", "vfs"))
        yield mine
        user.run("fusermount3", "-u", "-z", mine.where, check=False)


def is_running(process: int) -> bool:
    """Whether it has not ended; nobody may have asked for its exit code yet."""
    try:
        return Path(f"/proc/{process}/cmdline").read_bytes() != b""
    except FileNotFoundError:
        return False


def wait_until_unmounted(own: Own) -> None:
    deadline = time.monotonic() + 10
    while own.mounted():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def wait_until_ended(process: int) -> None:
    deadline = time.monotonic() + 10
    while is_running(process):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_user_mounts_reads_writes_and_unmounts_without_privileges(own: Own) -> None:
    own.shell(own.command("mount", own.where))

    assert own.mounted()
    assert own.shell(f"cat {own.where}/images/localhost/small:1/rootfs/mine") == "mine"
    web = f"{own.where}/containers/web/rootfs"
    assert own.shell(f"echo new > {web}/new; cat {web}/new") == "new\n"
    owners = own.shell(f"stat -c %u:%g {web} {web}/* {own.where}").split()
    assert set(owners) == {f"{rootless.UID}:{rootless.UID}"}
    assert "Permission denied" in own.shell(f"cat {web}/theirs", check=False)

    own.shell(own.command("umount", own.where))
    assert not own.mounted()


@pytest.mark.parametrize("own", ["overlay"], indirect=True)
def test_who_may_not_mount_finds_out_nothing_about_overlay_for_others(own: Own) -> None:
    """The Go tools believe such a finding, and would turn to a mount program for ever."""
    own.shell(own.command("mount", own.where))

    status = own.shell(f"ls -l {own.where} >/dev/null; cat {own.where}/status")

    assert '"Supports d_type": "true"' in status
    home, memory = f"{own.store[1]}/overlay", f"{own.store[3]}/overlay"
    assert "-false" not in own.shell(f"ls -R {memory}", check=False)
    assert "tempdirs" not in own.shell(f"ls {home}")


def test_owners_on_disk_are_shown_where_that_is_asked_for(own: Own) -> None:
    own.shell(own.command("mount", "-o", "ids=host", own.where))

    theirs = own.shell(f"stat -c %u {own.where}/layers/{LAYER}/rootfs/theirs")
    assert int(theirs) == rootless.FIRST_SUBORDINATE + 6


def test_owners_in_the_container_are_told_apart_by_the_subordinate_ids(own: Own) -> None:
    own.shell(own.command("mount", "-o", "ids=container", own.where))

    rootfs = f"{own.where}/layers/{LAYER}/rootfs"
    assert own.shell(f"stat -c %u:%g {rootfs}/mine {rootfs}/theirs") == "0:0\n7:7\n"


def test_a_signal_unmounts_what_the_helper_has_mounted(own: Own) -> None:
    own.shell(own.command("mount", own.where))
    daemon = own.daemon()

    os.kill(daemon, signal.SIGTERM)

    wait_until_unmounted(own)
    wait_until_ended(daemon)


def test_who_may_not_open_the_device_is_told_what_helps(own: Own) -> None:
    own.user.device.chmod(0o600)

    refused = own.shell(own.command("mount", own.where), check=False)

    assert "/dev/fuse" in refused
    assert "chmod 666" in refused
    assert not own.mounted()


def test_the_next_mount_cleans_up_after_a_daemon_that_was_killed(own: Own) -> None:
    own.shell(own.command("mount", own.where))
    own.shell(f"cat {own.where}/containers/web/rootfs/mine")
    os.kill(own.daemon(), signal.SIGKILL)
    deadline = time.monotonic() + 10
    while "not connected" not in own.shell(f"ls {own.where}", check=False):
        assert time.monotonic() < deadline
        time.sleep(0.05)

    own.shell(own.command("mount", own.where))

    assert own.shell(f"cat {own.where}/containers/web/rootfs/mine") == "mine"
    own.shell(own.command("umount", own.where))
    assert not own.mounted()


@pytest.mark.parametrize("own", ["overlay"], indirect=True)
@pytest.mark.parametrize("subordinate", [True, False])
def test_overlay_layers_are_merged_for_reading_without_privileges(
    own: Own, subordinate: bool
) -> None:
    if not subordinate:
        own.user.forget_subordinate_ids()
    own.shell(own.command("mount", own.where))

    for place in (f"layers/{LAYER}/diff", f"layers/{LAYER}/rootfs", "containers/web/rootfs"):
        assert own.shell(f"ls {own.where}/{place}") == "mine\ntheirs\n"
        assert own.shell(f"cat {own.where}/{place}/mine") == "mine"
    refused = own.shell(f"echo x > {own.where}/containers/web/rootfs/mine", check=False)
    assert "Read-only file system" in refused
    merged = own.shell(f"cat {own.where}/containers/web/rootfs/mine")
    assert merged == "mine"

    daemon = own.daemon()
    own.shell(own.command("umount", own.where))
    assert not own.mounted()
    assert not is_running(daemon)


@pytest.mark.parametrize("own", ["overlay"], indirect=True)
def test_a_container_that_a_user_makes_in_the_tree_is_root_s_inside_the_namespace(own: Own) -> None:
    images = f"{own.where}/images/localhost/small:1"
    own.shell(own.command("mount", own.where))

    own.shell(f"mkdir {images}/containers/mine")

    assert own.shell(f"cat {own.where}/containers/mine/rootfs/mine") == "mine"
    layer = own.shell(f"cat {own.where}/containers/mine/layer/id").strip()
    made = own.shell(f"stat -c %u:%g {own.store[1]}/overlay/{layer}/*", *INSIDE).split()
    assert set(made) == {"0:0"}
    own.shell(f"rmdir {own.where}/containers/mine")
    assert own.shell(f"ls {own.store[1]}/overlay").split().count(layer) == 0
    own.shell(own.command("umount", own.where))


@pytest.mark.parametrize("own", ["vfs", "overlay"], indirect=True)
@pytest.mark.parametrize("native", ["auto", "off"])
def test_inside_the_user_namespace_everything_works(own: Own, native: str) -> None:
    web = f"{own.where}/containers/web/rootfs"
    script = f"""
        set -e
        {own.command("mount", "-o", f"native={native}", own.where)}
        cat {own.where}/layers/{LAYER}/rootfs/theirs
        echo :new > {web}/new
        cat {web}/new
        stat -c %u:%g {web}/theirs {web}/new
        rm {web}/mine
        {own.command("umount", own.where)}
        cat {own.store[3]}/{own.driver}-layers/mountpoints.json
    """

    printed = own.shell(script, *INSIDE)

    assert printed == "theirs:new\n7:7\n0:0\n[]"
    assert not own.mounted()


def test_a_directory_that_the_user_may_not_cover_is_refused_with_the_helpers_reason(
    own: Own,
) -> None:
    refused = own.shell(own.command("mount", "-o", "nonempty", "/usr"), check=False)

    assert "fusermount3:" in refused
    assert "/usr" in refused


def test_others_are_let_in_only_if_root_allows_it(own: Own) -> None:
    refused = own.shell(own.command("mount", "-o", "allow_other", own.where), check=False)

    assert "user_allow_other" in refused
    assert not own.mounted()
