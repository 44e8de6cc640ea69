"""The daemon dies by SIGKILL while its natively mounted content is written: nothing is lost."""

import errno
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support import debian, mounttable, recordcheck, wait
from tests.support.gotools import GoTools, Roots
from tests.support.mounted import Mounted

pytestmark = [
    pytest.mark.overlay,
    pytest.mark.fuse,
    pytest.mark.gotools,
    pytest.mark.debian_image,
]

MountStore = Callable[..., Mounted]

DEAD = {errno.ENOTCONN, errno.ECONNABORTED}

WRITER = """
import sys
with open(sys.argv[1], "wb", buffering=0) as file:
    number = 0
    while True:
        file.write(b"%012d\\n" % number)
        number += 1
        print(number, flush=True)
        if not sys.stdin.readline():
            break
"""


class Writer:
    """A process that keeps a file open and writes one line more at each request."""

    def __init__(self, path: Path) -> None:
        self.child = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
        )
        self.lines = int(self._answer())

    def _answer(self) -> str:
        assert self.child.stdout is not None
        return self.child.stdout.readline()

    def write(self) -> None:
        assert self.child.stdin is not None
        self.child.stdin.write("\n")
        self.lines = int(self._answer())

    def close(self) -> None:
        self.child.communicate(timeout=10)


@pytest.fixture
def go(debian_roots: Roots) -> GoTools:
    return GoTools(debian_roots)


def new_container(mounted: Mounted, name: str) -> Path:
    (mounted.where / "images" / debian.IMAGE / "containers" / name).mkdir()
    return mounted.where / "containers" / name / "rootfs"


@pytest.mark.parametrize("writer_lives_on", [False, True])
def test_the_next_mount_works_at_once_and_has_what_was_written(
    mount_store: MountStore, go: GoTools, *, writer_lives_on: bool
) -> None:
    first = mount_store(go.roots)
    writer = Writer(new_container(first, "web") / "srv" / "data")
    for _ in range(100):
        writer.write()
    first.kill()
    writer.write()
    if not writer_lives_on:
        writer.close()
    started = time.monotonic()
    second = mount_store(go.roots)
    assert time.monotonic() - started < 5
    if writer_lives_on:
        writer.write()
    text = (second.where / "containers/web/rootfs/srv/data").read_text()
    assert text == "".join(f"{number:012}\n" for number in range(writer.lines))
    if writer_lives_on:
        writer.close()
    second.stop()
    assert recordcheck.problems(go) == []


def test_no_mount_of_the_dead_daemon_is_left(mount_store: MountStore, go: GoTools) -> None:
    first = mount_store(go.roots)
    (new_container(first, "web") / "srv" / "data").write_text("kept\n")
    first.kill()
    assert len(mounttable.below(first.where)) == 2
    second = mount_store(go.roots)
    (left,) = mounttable.below(second.where)
    assert left.fstype.startswith("fuse")
    second.stop()
    assert mounttable.below(second.where) == []


def test_counts_are_repaired_but_not_those_of_others(mount_store: MountStore, go: GoTools) -> None:
    first = mount_store(go.roots)
    (new_container(first, "web") / "srv" / "data").write_text("kept\n")
    go.storage("mount", "web")
    layer = next(iter(recordcheck.mount_counts(go)))
    assert recordcheck.mount_counts(go)[layer] == 2
    first.kill()
    second = mount_store(go.roots)
    wait.until(lambda: recordcheck.mount_counts(go) == {layer: 1}, 5, "the dead one's count back")
    second.stop()
    assert recordcheck.mount_counts(go) == {layer: 1}
    go.storage("unmount", "web")
    assert recordcheck.problems(go) == []


def test_callers_get_an_error_and_do_not_hang(mount_store: MountStore, go: GoTools) -> None:
    mounted = mount_store(go.roots, "native=off")
    path = new_container(mounted, "web") / "srv" / "data"
    file = os.open(path, os.O_WRONLY | os.O_CREAT)
    os.write(file, b"x")
    mounted.kill()
    started = time.monotonic()
    for call in (lambda: os.write(file, b"y"), lambda: os.close(file), lambda: os.stat(path)):
        with pytest.raises(OSError) as refused:
            call()
        assert refused.value.errno in DEAD
    assert time.monotonic() - started < 2
