import os
import socket
import sys
from pathlib import Path
from types import MappingProxyType

import pytest

from backend.model.options import StoreOptions
from drivers.idmap.maps import IDMap
from drivers.linux.mountinfo import MountEntry
from fusefs import daemon, mountpoint, sdnotify
from fusefs.mountpoint import MountPointError
from fusefs.options import MountOptions
from tests.support import process


def test_what_the_daemon_is_told_is_what_it_understands() -> None:
    store = StoreOptions(
        graph_root="/g/\udcff",
        run_root="/r",
        driver_options=("overlay.mountopt=a,b",),
        pull_options=MappingProxyType({"a": "b"}),
        lock_timeout=2.5,
        uid_map=(IDMap(0, 100_000, 10), IDMap(10, 200_000, 10)),
    )
    mount = MountOptions(where="/mnt", read_only=True, store=MappingProxyType({"store": "/g"}))

    understood = daemon.decode(daemon.encode(store, mount))

    assert understood == (store, mount)
    assert understood[0].uid_map[1].host_id == 200_000


def test_a_daemon_that_cannot_start_tells_its_parent_why(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "no store").mkdir()
    (tmp_path / "no store" / "file").write_text("")
    (tmp_path / "mnt").mkdir()
    store = StoreOptions(graph_root=str(tmp_path / "no store"), run_root=str(tmp_path / "r"))

    code = daemon.start(store, MountOptions(where=str(tmp_path / "mnt")))

    assert code == 32
    assert "no store" in capfd.readouterr().err


@pytest.mark.root
@pytest.mark.fuse
def test_a_daemon_is_ready_when_its_parent_returns_and_holds_no_terminal(tmp_path: Path) -> None:
    where = tmp_path / "mnt"
    where.mkdir()
    program = (
        "import sys\n"
        "from fusefs import daemon\n"
        "from backend.model.options import StoreOptions\n"
        "from fusefs.options import MountOptions\n"
        "store = StoreOptions(graph_root=sys.argv[1], run_root=sys.argv[2], driver='vfs')\n"
        "sys.exit(daemon.start(store, MountOptions(where=sys.argv[3])))\n"
    )
    words = [str(tmp_path / "graph"), str(tmp_path / "run"), str(where)]
    project = Path(__file__).parents[3]
    try:
        process.run(
            [sys.executable, "-c", program, *words],
            environment={"PYTHONPATH": str(project)},
            timeout=30,
        )
        assert b"store format" in process.run(["cat", str(where / "version")], timeout=10).stdout
        again = process.run(
            [sys.executable, "-c", program, *words],
            environment={"PYTHONPATH": str(project)},
            timeout=30,
            check=False,
        )
        assert again.returncode == 32
        assert b"(fuse.storagefs) is mounted there" in again.stderr
    finally:
        process.run(["umount", str(where)], check=False)


def test_a_mount_point_must_be_an_empty_directory_away_from_the_store(tmp_path: Path) -> None:
    graph, fit, full = tmp_path / "graph", tmp_path / "fit", tmp_path / "full"
    for directory in (graph, graph / "inside", fit, full):
        directory.mkdir()
    (full / "file").write_text("")
    (tmp_path / "link").symlink_to(graph)

    def problem(where: Path, *, nonempty: bool = False) -> str:
        with pytest.raises(MountPointError) as refused:
            mountpoint.check(str(where), roots=(str(graph),), nonempty=nonempty)
        assert str(where) in str(refused.value)
        return f"{refused.value} | {refused.value.remedy}"

    mountpoint.check(str(fit), roots=(str(graph),), nonempty=False)
    mountpoint.check(str(full), roots=(str(graph),), nonempty=True)
    assert "mkdir -p" in problem(tmp_path / "missing")
    assert "not a directory" in problem(full / "file")
    assert "nonempty" in problem(full)
    for place in (graph, graph / "inside", tmp_path, tmp_path / "link"):
        assert "overlaps with the store" in problem(place, nonempty=True)


def test_what_is_mounted_there_is_not_touched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dead = MountEntry(1, 0, "0:99", "/", str(tmp_path), "rw", "fuse.sshfs", "host:", "rw")
    monkeypatch.setattr(mountpoint.mountinfo, "at", lambda where: dead)
    monkeypatch.setattr(os, "listdir", lambda where: pytest.fail("looked into the mount"))

    with pytest.raises(MountPointError, match=r"busy: host: \(fuse.sshfs\)") as refused:
        mountpoint.check(str(tmp_path), roots=(), nonempty=True)
    assert "umount" in refused.value.remedy


def test_one_mount_point_has_one_daemon(tmp_path: Path) -> None:
    with mountpoint.claimed("/mnt/a", str(tmp_path)):
        with (
            pytest.raises(MountPointError, match="another storagefs"),
            mountpoint.claimed("/mnt/a", str(tmp_path)),
        ):
            pytest.fail("two have it")
        with mountpoint.claimed("/mnt/b", str(tmp_path)):
            pass
    with mountpoint.claimed("/mnt/a", str(tmp_path)):
        pass


@pytest.mark.parametrize("abstract", [False, True])
def test_systemd_is_told_where_it_listens(tmp_path: Path, abstract: bool) -> None:
    name = f"@storagefs-test-{os.getpid()}" if abstract else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind("\0" + name[1:] if abstract else name)
        listener.settimeout(5)
        sdnotify.notify(name, "READY=1", "STATUS=well")
        assert listener.recv(100) == b"READY=1\nSTATUS=well"


def test_nobody_listening_is_no_failure(tmp_path: Path) -> None:
    sdnotify.notify("", "READY=1")
    sdnotify.notify(str(tmp_path / "nobody"), "READY=1")
