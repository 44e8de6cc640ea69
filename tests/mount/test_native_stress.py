"""Many processes on few native mounts, coming and going: everyone sees right content, no error."""

import subprocess
import sys
from collections.abc import Callable

import pytest

from tests.support import smallstore
from tests.support.gotools import Roots
from tests.support.mounted import Mounted

pytestmark = [pytest.mark.root, pytest.mark.overlay, pytest.mark.fuse]

MountStore = Callable[..., Mounted]

WORKER = """
import os, random, sys, time
top, seed = sys.argv[1], int(sys.argv[2])
random.seed(seed)
end = time.monotonic() + 5
done, wrong = 0, []
while time.monotonic() < end:
    where = f"{top}/containers/web{random.choice(['', '1', '2', '3'])}/rootfs"
    step = "read"
    try:
        what = random.randrange(5)
        if what == 0:
            assert open(where + "/two").read() == "2\\n"
        elif what == 1:
            assert "two" in os.listdir(where)
        elif what == 2:
            os.stat(where), os.stat(where + "/etc/passwd")
        elif what == 3:
            path, text = f"{where}/x{seed}", str(done)
            step = "create"
            with open(path, "w") as file:
                file.write(text)
            step = "read back"
            with open(path) as file:
                got = file.read()
            assert got == text, (got, text)
            step = "unlink"
            os.unlink(path)
        else:
            step = "descriptor"
            fd = os.open(where, os.O_RDONLY)
            os.fstat(fd), os.listdir(fd), os.close(fd)
        done += 1
    except Exception as failure:
        wrong.append((where[-20:], step, repr(failure)))
    time.sleep(random.random() * 0.02)
assert done > 20, done
assert not wrong, wrong
"""


@pytest.mark.parametrize(
    "options", [("native_max=2", "idle=0.2"), ("idle=0.2",), ("native=off", "idle=0.2")]
)
def test_everyone_sees_right_content_while_mounts_come_and_go(
    roots: Roots, mount_store: MountStore, options: tuple[str, ...]
) -> None:
    smallstore.make(roots, containers=4)
    mounted = mount_store(roots, *options)
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", WORKER, str(mounted.where), str(seed)],
            stderr=subprocess.PIPE,
            text=True,
        )
        for seed in range(5)
    ]
    assert [worker.communicate(timeout=40)[1] for worker in workers] == [""] * 5
    assert mounted.stop() == 0
    assert "Traceback" not in mounted.log_text()
