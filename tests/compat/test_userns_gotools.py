"""podman and we choose IDs for user namespaces in one store, and never the same."""

from functools import partial
from pathlib import Path

import pytest

from backend import StoreOptions, open_store
from backend.api import userns
from backend.api.userns import AutoUserNs
from drivers.idmap.maps import IDMap
from drivers.idmap.subids import sub_ids
from tests.support import process
from tests.support.gotools import GoTools, Roots

pytestmark = [pytest.mark.root, pytest.mark.overlay, pytest.mark.gotools]

PRIVATE = (
    'mount --bind "$0" /etc/subuid; mount --bind "$0" /etc/subgid;'
    'umount /sys/fs/cgroup/unified 2>/dev/null; exec "$@"'
)


def podman_creates(go: GoTools, ids: Path, size: int) -> str:
    """Make a container with automatic IDs from the file *ids*; its ID."""
    words = ("--cgroups=disabled", "--network=none", f"--userns=auto:size={size}")
    command = go.command("podman", "create", *words, "localhost/img:1", "/x")
    done = process.run(["unshare", "-m", "sh", "-c", PRIVATE, str(ids), *command])
    return done.stdout.decode().strip()


def test_podman_and_we_never_give_the_same_ids(
    roots: Roots, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = tmp_path / "subuid"
    ids.write_text("containers:100000:10000\n")
    (tmp_path / "subgid").write_text(ids.read_text())
    monkeypatch.setattr(userns, "sub_ids", partial(sub_ids, directory=str(tmp_path)))
    go = GoTools(roots, timeout=60)
    working = go.buildah("from", "scratch")
    go.buildah("commit", "-q", working, "localhost/img:1")
    with open_store(StoreOptions(str(roots.graph), str(roots.run), driver="overlay")) as store:
        first = podman_creates(go, ids, 500)
        ours = store.containers.create(image="localhost/img:1", auto_userns=AutoUserNs(size=300))
        last = podman_creates(go, ids, 500)
        containers = store.snapshot().containers.by_id
        assert containers[first].uid_map == (IDMap(0, 100_000, 500),)
        assert ours.uid_map == ours.gid_map == (IDMap(0, 100_500, 300),)
        assert containers[last].uid_map == (IDMap(0, 100_800, 500),)
        assert ours.layer in go.storage("layers")


def test_podman_takes_the_mapped_copy_that_we_made(roots: Roots) -> None:
    go = GoTools(roots, driver="vfs", timeout=60)
    working = go.buildah("from", "scratch")
    Path(go.buildah("mount", working), "file").write_text("x")
    go.buildah("commit", "-q", working, "localhost/img:1")
    maps = (IDMap(0, 100_000, 65536),)
    with open_store(StoreOptions(str(roots.graph), str(roots.run), driver="vfs")) as store:
        ours = store.containers.create(image="localhost/img:1", uid_map=maps, gid_map=maps)
        flags = ("--uidmap=0:100000:65536", "--gidmap=0:100000:65536")
        theirs = go.podman("create", "--network=none", *flags, "localhost/img:1", "/x")
        image = store.snapshot().images.by_name["localhost/img:1"]
        [copy] = image.mapped_layers
        layers, containers = store.snapshot().layers.by_id, store.snapshot().containers.by_id
        assert {layers[containers[one].layer].parent for one in (ours.id, theirs)} == {copy}
        file = Path(store.mounts.mount(theirs), "file")
        assert (file.stat().st_uid, file.read_text()) == (100_000, "x")
        store.mounts.unmount(theirs)
        go.podman("rm", theirs)
        store.containers.delete(ours.id)
        go.buildah("rm", working)
        go.podman("rmi", "localhost/img:1")
        assert store.driver.list_layers() == []
