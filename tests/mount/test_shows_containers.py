"""Containers made, written, seen and deleted by storagefs and the Go tools alike."""

import errno
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support import debian, recordcheck, wait
from tests.support.gotools import GoTools, Roots
from tests.support.mounted import Mounted

pytestmark = [
    pytest.mark.overlay,
    pytest.mark.fuse,
    pytest.mark.gotools,
    pytest.mark.debian_image,
]

MountStore = Callable[..., Mounted]


@pytest.fixture
def go(debian_roots: Roots) -> GoTools:
    return GoTools(debian_roots)


@pytest.fixture(params=["native=auto", "native=off"])
def mounted(request: pytest.FixtureRequest, mount_store: MountStore, go: GoTools) -> Mounted:
    return mount_store(go.roots, request.param, limit=200)


def container_names(go: GoTools) -> set[str]:
    found = go.storage_json("containers", "--json")
    return {name for container in found for name in container.get("names", ())}


def test_a_container_made_by_mkdir_is_podmans_too(mounted: Mounted, go: GoTools) -> None:
    mnt = mounted.where
    (mnt / "images" / debian.IMAGE / "containers" / "web").mkdir()
    page = mnt / "containers" / "web" / "rootfs" / "srv" / "index.html"
    page.write_text("hello\n")
    assert container_names(go) == {"web"}
    assert "web" in go.podman("ps", "--all", "--storage", "--external", "--format", "{{.Names}}")
    merged = Path(go.storage("mount", "web").strip())
    assert (merged / "srv/index.html").read_text() == "hello\n"
    (merged / "srv/from-go").write_text("from the Go tool\n")
    assert (mnt / "containers/web/rootfs/srv/from-go").read_text() == "from the Go tool\n"
    assert "A f /srv/index.html" in (mnt / "containers/web/changes").read_text().splitlines()
    go.storage("unmount", "web")
    mounted.stop()
    assert (go.roots.graph / "overlay").is_dir()
    assert recordcheck.problems(go) == []


def test_rmdir_deletes_the_container_for_both(mounted: Mounted, go: GoTools) -> None:
    containers = mounted.where / "containers"
    (mounted.where / "images" / debian.IMAGE / "containers" / "web").mkdir()
    (containers / "web" / "rootfs" / "srv" / "index.html").write_text("hello\n")
    before = {layer["id"] for layer in go.storage_json("layers", "--json")}
    (containers / "web").rmdir()
    assert not (containers / "web").exists()
    assert container_names(go) == set()
    assert len(before) - len(go.storage_json("layers", "--json")) == 1
    mounted.stop()
    assert recordcheck.problems(go) == []


def test_buildahs_container_appears_within_a_second(mounted: Mounted, go: GoTools) -> None:
    assert list((mounted.where / "containers").iterdir()) == [mounted.where / "containers/by-id"]
    name = go.buildah("from", "--pull-never", "--name", "built", debian.IMAGE)
    place = mounted.where / "containers" / name
    wait.until(lambda: name in {p.name for p in place.parent.iterdir()}, 1, "listed")
    wait.until(place.exists, 1, "found by name")
    assert (place / "rootfs/etc/debian_version").read_text().endswith("changed\n")
    go.buildah("rm", name)
    wait.until(lambda: not place.exists(), 1, "gone after buildah rm")
    mounted.stop()
    assert recordcheck.problems(go) == []


def test_a_container_that_the_go_tool_has_mounted_cannot_be_deleted(
    mounted: Mounted, go: GoTools
) -> None:
    (mounted.where / "images" / debian.IMAGE / "containers" / "web").mkdir()
    merged = go.storage("mount", "web").strip()
    with pytest.raises(OSError, match="busy") as refused:
        (mounted.where / "containers" / "web").rmdir()
    assert refused.value.errno == errno.EBUSY
    assert "web" in (mounted.where / "errors").read_text()
    assert (Path(merged) / "etc/debian_version").exists()
    go.storage("unmount", "web")
    (mounted.where / "containers" / "web").rmdir()
    mounted.stop()
    assert recordcheck.problems(go) == []


def test_an_image_with_a_container_stays_until_the_container_goes(
    mounted: Mounted, go: GoTools
) -> None:
    image = (mounted.where / "images" / debian.COPIED).resolve()
    (mounted.where / "images" / debian.COPIED / "containers" / "one").mkdir()
    with pytest.raises(OSError, match="busy"):
        image.rmdir()
    (mounted.where / "containers" / "one").rmdir()
    image.rmdir()
    names = {name for found in go.storage_json("images", "--json") for name in found["names"]}
    assert names == {debian.BASE, debian.MIDDLE, debian.IMAGE}
    assert len(go.storage_json("layers", "--json")) == 3
    mounted.stop()
    assert recordcheck.problems(go) == []


def test_podman_runs_in_what_storagefs_left(mounted: Mounted, go: GoTools) -> None:
    (mounted.where / "images" / debian.IMAGE / "containers" / "web").mkdir()
    output = go.podman_run("--rm", debian.IMAGE, "cat", "/etc/debian_version")
    assert output.endswith("changed")
    (mounted.where / "containers" / "web").rmdir()
    mounted.stop()
    assert recordcheck.problems(go) == []
