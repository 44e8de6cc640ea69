"""``storagefs mount`` and ``umount``, and the helper that mount(8) calls, on a real store."""

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from backend import open_store
from backend.config import load_options
from scripts.sample_store import IMAGE, STEPS, make
from tests.support import mounttable, process
from tests.support.gotools import GoTools, Roots

pytestmark = [pytest.mark.root, pytest.mark.overlay, pytest.mark.fuse]

PROJECT = Path(__file__).parents[2]


class Commands:
    """The installed commands: links to one script, told apart by their name."""

    def __init__(self, base: Path, roots: Roots) -> None:
        self.roots = roots
        self.where = base / "mnt"
        self.where.mkdir()
        self._bin = base / "bin"
        self._bin.mkdir()
        script = self._bin / "storagefs"
        script.write_text(
            f"#!{sys.executable}\nimport sys\nsys.path.insert(0, {os.fspath(PROJECT)!r})\n"
            "from fusefs.cli import main\nsys.exit(main())\n"
        )
        script.chmod(0o755)
        for name in ("mount.storagefs", "mount.fuse.storagefs"):
            (self._bin / name).symlink_to("storagefs")

    def run(self, name: str, *words: str) -> subprocess.CompletedProcess[bytes]:
        """Run it in the directory of the mount point."""
        where = self.where.parent
        return process.run([str(self._bin / name), *words], check=False, timeout=30, cwd=where)

    def storagefs(self, *words: str) -> subprocess.CompletedProcess[bytes]:
        store = ("--graph", str(self.roots.graph), "--run", str(self.roots.run))
        return self.run("storagefs", *store, *words)

    def storagefs_by_shell(self, rest: str, *words: str) -> subprocess.CompletedProcess[bytes]:
        """The same by a shell, *rest* being its business."""
        store = ("--graph", str(self.roots.graph), "--run", str(self.roots.run))
        command = shlex.join([str(self._bin / "storagefs"), *store, *words])
        return process.run(["sh", "-c", f"{command} {rest}"], check=False, timeout=30)

    def mounted(self) -> mounttable.Mount | None:
        return mounttable.at(self.where)


@pytest.fixture
def sample(roots: Roots) -> Roots:
    options = load_options(graph_root=str(roots.graph), run_root=str(roots.run))
    with open_store(options) as store:
        make(store)
    return roots


@pytest.fixture
def commands(tmp_path: Path, sample: Roots) -> Iterator[Commands]:
    commands = Commands(tmp_path, sample)
    yield commands
    if commands.mounted():
        commands.storagefs("umount", "--lazy", str(commands.where))


def test_mount_returns_when_the_tree_is_there_and_umount_when_it_is_gone(
    commands: Commands,
) -> None:
    done = commands.storagefs("mount", str(commands.where))
    assert (done.returncode, done.stderr) == (0, b"")
    image = commands.where / "images" / IMAGE
    assert (image / "rootfs/srv/index.html").read_text() == STEPS[-1].files["srv/index.html"]
    assert (commands.where / "containers/sample/rootfs/srv/visitors").read_text() == "1\n"

    done = commands.storagefs("umount", str(commands.where))

    assert (done.returncode, done.stderr) == (0, b"")
    assert commands.mounted() is None
    assert list(commands.where.iterdir()) == []


@pytest.mark.gotools
def test_after_umount_no_mount_count_is_left(commands: Commands, go: GoTools) -> None:
    assert commands.storagefs("mount", str(commands.where)).returncode == 0
    (commands.where / "containers/sample/rootfs/new").write_text("x")
    assert go.storage("mounted", "sample") == "sample mounted\n"

    assert commands.storagefs("umount", str(commands.where)).returncode == 0

    assert go.storage("mounted", "sample") == ""


@pytest.mark.parametrize("name", ["mount.storagefs", "mount.fuse.storagefs"])
def test_both_spellings_of_fstab_reach_the_store(commands: Commands, name: str) -> None:
    """The kernel's table has the source of fstab: ``mount -a`` leaves alone what is there."""
    roots, where = commands.roots, str(commands.where)
    options = f"ro,nofail,noatime,x-systemd.automount,runroot={roots.run}"
    words = {
        "mount.storagefs": ["none", where, "-o", f"{options},store={roots.graph}"],
        "mount.fuse.storagefs": [str(roots.graph), where, "-o", options, "-t", "fuse.storagefs"],
    }

    done = commands.run(name, *words[name])

    assert (done.returncode, done.stderr) == (0, b"")
    entry = commands.mounted()
    assert entry is not None
    assert (entry.source, entry.fstype) == (words[name][0], "fuse.storagefs")
    with pytest.raises(OSError, match="Read-only"):
        (commands.where / "containers/new").mkdir()


def test_a_graph_root_may_have_a_long_and_odd_name(commands: Commands) -> None:
    graph = commands.where.parent / ("long" * 60) / 'with, comma: colon"' / "graph"
    graph.parent.mkdir(parents=True)
    commands.roots.graph.rename(graph)
    store = ("--graph", str(graph), "--run", str(commands.roots.run))

    done = commands.run("storagefs", *store, "mount", str(commands.where))

    assert (done.returncode, done.stderr) == (0, b"")
    rootfs = commands.where / "containers/sample/rootfs"
    assert (rootfs / "srv/visitors").read_text() == "1\n"
    (rootfs / "new").write_text("new")
    assert "A f /new\n" in (commands.where / "containers/sample/changes").read_text()


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_standard_streams_may_be_closed(commands: Commands, closed: str) -> None:
    where = str(commands.where)

    for words in (("mount", where), ("layers",), ("create-layer",), ("umount", where)):
        done = commands.storagefs_by_shell(closed, *words)
        assert (done.returncode, done.stderr) == (0, b""), words
        assert (commands.mounted() is None) == (words[0] == "umount")


def test_the_helper_checks_without_mounting(commands: Commands) -> None:
    graph, run = str(commands.roots.graph), f"runroot={commands.roots.run}"
    where = str(commands.where)

    good = commands.run("mount.storagefs", graph, where, "-f", "-o", run)
    unknown = commands.run("mount.storagefs", graph, where, "-f", "-o", f"{run},bogus=1")
    sloppy = commands.run("mount.storagefs", graph, where, "-sf", "-o", f"bogus=1,{run}")
    missing = commands.run("mount.storagefs", f"{graph}-no", where, "-f", "-o", run)

    assert [done.returncode for done in (good, unknown, sloppy, missing)] == [0, 1, 0, 32]
    assert b"bogus=1" in unknown.stderr
    assert f"{graph}-no".encode() in missing.stderr
    assert commands.mounted() is None


def test_umount_of_a_busy_tree_names_who_holds_it(commands: Commands) -> None:
    assert commands.storagefs("mount", str(commands.where)).returncode == 0
    inside = commands.where / "containers/sample/rootfs"
    with subprocess.Popen(["sleep", "60"], cwd=inside) as holder:
        busy = commands.storagefs("umount", str(commands.where))
        holder.kill()

    assert busy.returncode == 32
    assert f"sleep (PID {holder.pid}, working directory)".encode() in busy.stderr
    assert b"umount -l" in busy.stderr
    assert commands.storagefs("umount", str(commands.where)).returncode == 0


def test_a_lazy_umount_takes_a_busy_tree_away(commands: Commands) -> None:
    assert commands.storagefs("mount", str(commands.where)).returncode == 0
    with subprocess.Popen(["sleep", "60"], cwd=commands.where / "layers") as holder:
        done = commands.storagefs("umount", "-l", str(commands.where))
        holder.kill()

    assert done.returncode == 0
    assert commands.mounted() is None


def test_after_a_lazy_umount_the_place_is_free_although_the_last_user_stays(
    commands: Commands,
) -> None:
    where = str(commands.where)
    assert commands.storagefs("mount", where).returncode == 0
    with subprocess.Popen(["sleep", "60"], cwd=commands.where / "layers") as holder:
        assert commands.storagefs("umount", "-l", where).returncode == 0
        again = commands.storagefs("mount", where)
        taken = commands.storagefs("mount", where)
        names = process.run(["ls", f"/proc/{holder.pid}/cwd/"], timeout=10).stdout
        holder.kill()

    assert (again.returncode, again.stderr) == (0, b"")
    assert b"by-link" in names
    assert taken.returncode == 32
    assert f"storagefs umount {where}".encode() in taken.stderr
    assert commands.storagefs("umount", where).returncode == 0


def test_umount_of_a_bare_name_says_how_to_name_a_tree(commands: Commands) -> None:
    assert commands.storagefs("mount", str(commands.where)).returncode == 0

    done = commands.storagefs("umount", commands.where.name)

    assert done.returncode == 1
    assert f"storagefs umount ./{commands.where.name}".encode() in done.stderr
    assert commands.mounted() is not None


def test_errors_prints_what_was_refused(commands: Commands) -> None:
    assert commands.storagefs("mount", str(commands.where)).returncode == 0
    with pytest.raises(OSError, match="busy"):
        (commands.where / "images" / IMAGE).resolve().rmdir()

    text = commands.run("storagefs", "errors", str(commands.where)).stdout.decode()
    entries = json.loads(commands.run("storagefs", "errors", "-j", str(commands.where)).stdout)

    assert "rmdir" in text
    assert "EBUSY" in text
    assert [entry["operation"] for entry in entries] == ["rmdir"]


def test_an_occupied_place_is_refused_with_its_remedy(commands: Commands) -> None:
    (commands.where / "file").touch()

    done = commands.storagefs("mount", str(commands.where))

    assert done.returncode == 32
    assert b"not empty" in done.stderr


def test_the_sample_is_made_once(sample: Roots) -> None:
    options = load_options(graph_root=str(sample.graph), run_root=str(sample.run))
    with open_store(options) as store:
        before = store.snapshot()
        make(store)
        after = store.snapshot()

    assert before.layers.records == after.layers.records
    assert len(after.layers) == len(STEPS) + 1
    assert after.containers.records == before.containers.records
