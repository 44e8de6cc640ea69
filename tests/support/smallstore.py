"""A small store made with the library itself: two layers, an image, containers. Fast to make.

Used by: mount tests of native mounts and the POSIX suite.
"""

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from backend import StoreOptions, open_store
from tests.support.gotools import Roots

BASE, TOP, IMAGE, WEB = "a" * 64, "b" * 64, "c" * 64, "d" * 64


@dataclass(frozen=True, slots=True)
class SmallStore:
    """Where the parts are in a mounted tree."""

    roots: Roots

    @property
    def diff(self) -> str:
        """Raw content of the base layer."""
        return f"layers/{BASE}/diff"

    @property
    def rootfs(self) -> str:
        """The image's file system."""
        return f"layers/{TOP}/rootfs"

    @property
    def web(self) -> str:
        """The container's file system."""
        return "containers/web/rootfs"


def options(roots: Roots, driver: str = "overlay") -> StoreOptions:
    """How to open it with the library."""
    return StoreOptions(
        graph_root=os.fspath(roots.graph), run_root=os.fspath(roots.run), driver=driver
    )


def make(roots: Roots, driver: str = "overlay", containers: int = 1) -> SmallStore:
    """Make it on *roots*."""
    with open_store(options(roots, driver)) as store:
        store.layers.create(id=BASE)
        base = Path(store.driver.diff_directory(BASE))
        _fill(base)
        store.layers.create(id=TOP, parent=BASE)
        top = Path(store.driver.diff_directory(TOP))
        (top / "two").write_text("2\n")
        if driver == "overlay":
            os.mknod(top / "gone", 0o600 | 0o020000, 0)
        else:
            (top / "gone").unlink()
        store.images.create(id=IMAGE, names=("localhost/small:1",), layer=TOP)
        store.containers.create(id=WEB, names=("web",), image=IMAGE)
        for number in range(1, containers):
            store.containers.create(names=(f"web{number}",), image=IMAGE)
    return SmallStore(roots)


def _fill(base: Path) -> None:
    base.chmod(0o755)
    (base / "one").write_text("1\n")
    (base / "gone").write_text("soon\n")
    (base / "etc").mkdir()
    (base / "etc" / "passwd").write_text("root:x:0:0::/:/bin/sh\n")
    (base / "etc" / "outside").symlink_to("/../../../../../etc/hostname")
    (base / "bin").mkdir()
    subprocess.run(["cp", "-L", "/bin/true", base / "bin" / "true"], check=True)
    (base / "set").write_bytes((base / "bin" / "true").read_bytes())
    (base / "set").chmod(0o4755)
