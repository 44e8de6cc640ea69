"""Whatever touches a content directory first crosses over to the native mount, unnoticed."""

import errno
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.support import mounttable, process, smallstore
from tests.support.gotools import Roots
from tests.support.mounted import Mounted

pytestmark = [pytest.mark.root, pytest.mark.overlay, pytest.mark.fuse]

COMMANDS = {
    "ls": "ls $D | grep -qx two",
    "find": "find $D -maxdepth 1 | grep -q /two$",
    "stat": "stat $D/two",
    "stat of the directory": "stat $D",
    "test": "test -e $D/two && ! test -e $D/gone",
    "cat": "cat $D/two | grep -qx 2",
    "touch": "touch $D/new && test -e $D/new",
    "mkdir": "mkdir $D/new && rmdir $D/new",
    "mkdir -p": "mkdir -p $D/new/deep/er",
    "ln": "ln -s two $D/new && readlink $D/new",
    "mv": "mv $D/two $D/three && test -e $D/three",
    "rm": "rm $D/two",
    "exec": "$D/bin/true",
    "chroot": "chroot $D /bin/true 2>/dev/null || test $? = 127",
    "df": "df $D",
    "getfattr": "python3 -c 'import os,sys; os.listxattr(sys.argv[1])' $D",
    "readlink": "readlink -f $D/etc/passwd",
    "realpath": "realpath -e $D/etc/passwd",
    "glob": "echo $D/t* | grep -q two",
    "cd": "cd $D && cat two && touch made && ls | grep -qx made",
    "chmod": "chmod 711 $D",
    "chown": "chown 1:1 $D/two",
    "cp": "cp $D/two $D/copy && cat $D/copy",
    "write": "echo x > $D/new && cat $D/new",
    "append": "echo x >> $D/two && test $(wc -l < $D/two) = 2",
    "truncate": "truncate -s 0 $D/two",
    "tar": "tar cf /dev/null -C $D .",
    "symlink on the way": "cd $D/.. && cat rootfs/two",
    "open, then stat": "python3 -c 'import os,sys; os.fstat(os.open(sys.argv[1],0))' $D",
}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mounted]:
    base = tmp_path_factory.mktemp("first")
    roots = Roots(base / "graph", base / "run")
    smallstore.make(roots, containers=len(COMMANDS) + 10)
    mounted = Mounted(roots, base / "mnt", base / "log")
    yield mounted.start()
    mounted.close()
    mounttable.unmount_below(base)


def sh(script: str, directory: Path, **more: str) -> subprocess.CompletedProcess[bytes]:
    environment = {"D": str(directory), **more}
    return process.run(["sh", "-c", script], environment=environment, timeout=20, check=False)


def is_native(directory: Path) -> bool:
    mount = mounttable.at(directory)
    return mount is not None and mount.fstype != "fuse.storagefs"


@pytest.mark.parametrize("name", COMMANDS)
def test_the_first_command_sees_native_content(served: Mounted, name: str) -> None:
    number = list(COMMANDS).index(name) + 1
    directory = served.where / f"containers/web{number}/rootfs"
    done = sh(COMMANDS[name], directory)
    assert (done.returncode, done.stderr) == (0, b"")
    assert is_native(directory)


def test_twenty_processes_at_once_all_see_content(served: Mounted) -> None:
    directory = served.where / f"containers/web{len(COMMANDS) + 1}/rootfs"
    with ThreadPoolExecutor(20) as pool:
        done = list(pool.map(lambda n: sh(f"cat $D/two; echo {n} > $D/{n}", directory), range(20)))
    assert [(one.returncode, one.stdout, one.stderr) for one in done] == [(0, b"2\n", b"")] * 20
    assert set(map(str, range(20))) <= set(os.listdir(directory))
    assert len([m for m in mounttable.read() if m.target == str(directory)]) == 1


DESCRIPTOR = """
import os, sys
fd = os.open(sys.argv[1], os.O_PATH)
assert os.fstat(fd).st_mode & 0o170000 == 0o040000
for _ in range(3):
    assert open(os.open("two", 0, dir_fd=fd)).read() == "2\\n"
    assert "two" in os.listdir(f"/proc/self/fd/{fd}")
    os.fstat(fd)
os.close(os.open("made", os.O_CREAT | os.O_WRONLY, dir_fd=fd))
assert os.path.exists(sys.argv[1] + "/made")
"""


def test_a_path_descriptor_from_before_is_served_without_an_error(served: Mounted) -> None:
    directory = served.where / f"containers/web{len(COMMANDS) + 2}/rootfs"
    process.run([sys.executable, "-c", DESCRIPTOR, str(directory)], timeout=20)


WORKING_DIRECTORY = """
import os, subprocess, sys
where = sys.argv[1]
os.chdir(os.path.dirname(where))
fd = os.open("rootfs", os.O_PATH)
os.fchdir(fd)                                   # the directory below, before it is covered
assert open("two").read() == "2\\n"
subprocess.run(["cat", where + "/two"], check=True)   # somebody else makes sure that it is
for _ in range(3):
    assert "two" in os.listdir(".")
    os.stat("."), os.fstat(fd)
open("mine", "w").write("x")
assert open(where + "/mine").read() == "x"
os.mkdir("d"); os.rename("d", "e"); os.rmdir("e"); os.unlink("mine")
assert not os.path.exists(where + "/mine")
"""


def test_a_working_directory_from_before_is_served_and_shows_the_same(served: Mounted) -> None:
    directory = served.where / f"containers/web{len(COMMANDS) + 3}/rootfs"
    process.run([sys.executable, "-c", WORKING_DIRECTORY, str(directory)], timeout=20)
    assert is_native(directory)


def test_a_bind_mount_made_before_is_served(served: Mounted, tmp_path: Path) -> None:
    directory = served.where / f"containers/web{len(COMMANDS) + 4}/rootfs"
    place = tmp_path / "bound"
    place.mkdir()
    process.run(["mount", "--bind", str(directory), str(place)], timeout=20)
    try:
        for _ in range(2):
            process.run(["sh", "-c", f"cat {place}/two && cd {place} && ls -l && touch t"])
            process.run(["stat", str(directory / "two")], timeout=20)
        assert (directory / "t").exists()
    finally:
        mounttable.detach(str(place))


def test_attributes_are_there_from_the_first_moment(served: Mounted) -> None:
    for part in (f"layers/{smallstore.BASE}/diff", f"layers/{smallstore.TOP}/rootfs"):
        directory = served.where / part
        done = sh("touch $D/x; rm $D/one; echo > $D/one; mkdir $D/y", directory)
        assert done.returncode != 0
        assert done.stderr.count(b"Read-only file system") == 4, done.stderr
        mount = mounttable.at(directory)
        assert mount is not None
        assert {"ro", "nosuid", "nodev"} <= set(mount.options.split(","))
    writable = mounttable.at(served.where / "containers/web1/rootfs")
    assert writable is not None
    assert {"rw", "nosuid", "nodev"} <= set(writable.options.split(","))


def test_a_symlink_that_leads_out_is_shown_as_it_is(served: Mounted) -> None:
    link = served.where / f"layers/{smallstore.TOP}/rootfs/etc/outside"
    assert os.readlink(link) == "/../../../../../etc/hostname"


def test_nothing_spreads_to_another_mount_namespace(served: Mounted, tmp_path: Path) -> None:
    directory = served.where / f"containers/web{len(COMMANDS) + 5}/rootfs"
    other = subprocess.Popen(
        [
            "unshare",
            "-m",
            "--propagation",
            "slave",
            "sh",
            "-c",
            "echo ready; read x; cat /proc/self/mountinfo",
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert other.stdout is not None
    assert other.stdout.readline() == "ready\n"
    assert (directory / "two").read_text() == "2\n"
    assert is_native(directory)
    table, _ = other.communicate("\n", timeout=10)
    assert str(served.where) in table
    assert str(directory) not in table


def test_the_daemon_says_nothing_about_errors(served: Mounted) -> None:
    assert "Traceback" not in served.log_text()
    with pytest.raises(OSError, match="No such file") as missing:
        os.stat(served.where / "containers/web1/rootfs/none")
    assert missing.value.errno == errno.ENOENT
