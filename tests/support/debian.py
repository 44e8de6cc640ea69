"""A Debian root file system from Debian's packages, as a three-layer image that buildah made.

Used by: the debian_store fixtures, scripts/bench. The finished graph root is kept in the user's
cache directory, under a name that changes with the recipe; runs beside each other wait for one
builder. A kept store is never used in place: ``copy_store`` gives a run its own.
"""

import hashlib
import tempfile
from collections.abc import Callable
from pathlib import Path

from filelock import FileLock

from tests.support import debianfiles, mounttable, ociimage, process
from tests.support.gotools import GoTools, Roots

BASE = "localhost/shop/base:1"
MIDDLE = "localhost/shop/middle:1"
IMAGE = "localhost/shop/debian:1"
"""Three layers: Debian, added and changed files, deletions and a replaced directory."""
COPIED = "docker.io/library/small:1.0"
"""Two layers, compressed with gzip, copied in by skopeo."""

_BUILD_SECONDS = 900


def kept_store() -> Path:
    """The graph root with the images, built now if no earlier run kept one."""
    cache = Path(process.setting("XDG_CACHE_HOME") or Path.home() / ".cache", "storagefs-tests")
    cache.mkdir(parents=True, exist_ok=True)
    store = cache / f"debian-{_recipe()}"
    with FileLock(cache / f"{store.name}.lock", timeout=_BUILD_SECONDS):
        if not store.exists():
            _build(store)
    return store


def copy_store(target: Path) -> None:
    """A copy of the kept store at *target*: content, owners, times, attributes, hard links."""
    target.parent.mkdir(parents=True, exist_ok=True)
    process.run(["cp", "-a", "--reflink=auto", str(kept_store()), str(target)], timeout=300)


def link_store(source: Path, target: Path) -> None:
    """A store that shares the content of *source* by hard links, but has records of its own."""
    process.run(["cp", "-al", str(source), str(target)], timeout=300)
    for directory in (target, *target.glob("overlay-*")):
        for file in [path for path in directory.iterdir() if path.is_file()]:
            data, mode = file.read_bytes(), file.stat().st_mode
            file.unlink()
            file.write_bytes(data)
            file.chmod(mode & 0o777)


def _recipe() -> str:
    """Names what was built by how: a change of these files builds anew."""
    digest = hashlib.sha256()
    for part in (__file__, debianfiles.__file__, ociimage.__file__):
        digest.update(Path(part).read_bytes())
    return digest.hexdigest()[:16]


def _build(store: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="building-", dir=store.parent) as scratch:
        work = Path(scratch)
        try:
            go = GoTools(Roots(work / "graph", work / "run"), timeout=300)
            _bootstrap(work / "debian.tar")
            _commit_layers(go, work / "debian.tar")
            ociimage.write_layout(work / "layout", debianfiles.SMALL_IMAGE)
            go.skopeo("copy", "-q", f"oci:{work / 'layout'}", go.image(COPIED))
            go.shutdown()
        finally:
            mounttable.unmount_below(work)
        (work / "graph").rename(store)
    for old in store.parent.glob("debian-*"):
        if not old.name.startswith(store.name):
            process.run(["rm", "-rf", str(old)])


def _bootstrap(tar: Path) -> None:
    """The essential packages of the machine's own release, from its own package sources."""
    release = dict(
        line.split("=", 1)
        for line in Path("/etc/os-release").read_text().splitlines()
        if "=" in line
    )
    suite = release.get("VERSION_CODENAME", "bookworm") if release["ID"] == "debian" else "bookworm"
    sources = Path("/etc/apt/sources.list.d/debian.sources")
    mirror = [str(sources)] if sources.exists() else []
    command = ["mmdebstrap", "--quiet", "--variant=essential", suite, str(tar), *mirror]
    process.run(command, timeout=_BUILD_SECONDS)


def _commit_layers(go: GoTools, tar: Path) -> None:
    def unpack(root: Path) -> None:
        process.run(["tar", "-C", str(root), "--xattrs", "-xpf", str(tar)], timeout=300)

    _commit(go, "scratch", BASE, unpack)
    _commit(go, BASE, MIDDLE, debianfiles.add_and_change)
    _commit(go, MIDDLE, IMAGE, debianfiles.delete_and_replace)


def _commit(go: GoTools, parent: str, image: str, change: Callable[[Path], None]) -> None:
    """One layer more: a working container of *parent*, changed, committed as *image*."""
    container = go.buildah("from", "--pull-never", parent)
    change(Path(go.buildah("mount", container)))
    go.buildah("umount", container)
    go.buildah("config", "--cmd", '["/bin/sh"]', "--created-by", f"make {image}", container)
    go.buildah("commit", "--quiet", container, image)
    go.buildah("rm", container)
