"""A real image through the mount equals what the Go tools show of it, on every path."""

import json
import os
from collections.abc import Callable, Iterator

import pytest

from tests.support import debian, debianfiles, gochanges, mounttable, process, treefacts
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
def go(debian_store: Roots) -> GoTools:
    return GoTools(debian_store)


@pytest.fixture(params=["native=auto", "native=off"])
def mounted(request: pytest.FixtureRequest, mount_store: MountStore, go: GoTools) -> Mounted:
    return mount_store(go.roots, request.param, limit=300)


@pytest.fixture
def podman_image(go: GoTools) -> Iterator[Callable[[str], str]]:
    """A function that mounts an image with podman; all are unmounted afterwards."""
    references: list[str] = []

    def mount(reference: str) -> str:
        references.append(reference)
        return go.podman("image", "mount", reference)

    yield mount
    for reference in references:
        go.podman("image", "unmount", reference)


def chain(go: GoTools, reference: str) -> list[str]:
    """Layer IDs of an image, base first, as the Go tool tells them."""
    parents = {layer["id"]: layer.get("parent") for layer in go.storage_json("layers", "--json")}
    images = go.storage_json("images", "--json")
    layer = next(image["layer"] for image in images if reference in image["names"])
    found = []
    while layer:
        found.insert(0, layer)
        layer = parents[layer]
    return found


@pytest.mark.parametrize("reference", [debian.IMAGE, debian.COPIED])
def test_rootfs_equals_what_podman_mounts(
    reference: str, mounted: Mounted, podman_image: Callable[[str], str]
) -> None:
    theirs = treefacts.of(podman_image(reference))
    ours = treefacts.of(mounted.where / "images" / reference / "rootfs")
    assert treefacts.differences(ours, theirs) == []


def test_the_image_has_every_kind_of_file(mounted: Mounted) -> None:
    odd = treefacts.of(mounted.where / "images" / debian.IMAGE / "rootfs" / debianfiles.ODD)
    assert len(odd[b"hard-a"].linked) == 2
    assert odd[b"setuid"].mode == 0o6751
    assert {name for name, _ in odd[b"attributes"].xattrs} == {"user.binary", "user.color"}
    assert odd[b"null"].device == os.makedev(1, 3)
    assert b"caf\xe9" in odd
    assert b"goes" not in odd


@pytest.mark.parametrize("number", [0, 1, 2])
def test_rootfs_after_each_step_equals_the_image_of_that_step(
    number: int, mounted: Mounted, podman_image: Callable[[str], str]
) -> None:
    reference = (debian.BASE, debian.MIDDLE, debian.IMAGE)[number]
    if number == 0 and "native=off" in mounted.options:
        pytest.skip("the base layer, whole, is read by the tests of the other steps")
    theirs = treefacts.of(podman_image(reference))
    ours = treefacts.of(mounted.where / "images" / debian.IMAGE / "at" / f"{number:02}")
    assert treefacts.differences(ours, theirs) == []


def test_diff_equals_the_directory_of_the_layer(mounted: Mounted, go: GoTools) -> None:
    for layer in chain(go, debian.IMAGE)[1:]:
        theirs = treefacts.of(go.roots.graph / "overlay" / layer / "diff")
        ours = treefacts.of(mounted.where / "layers" / layer / "diff")
        assert treefacts.differences(ours, theirs) == []


def test_kernel_mounts_carry_the_content_unless_native_is_off(mounted: Mounted) -> None:
    motd = mounted.where / "images" / debian.COPIED / "rootfs" / "etc" / "motd"
    assert motd.read_text() == "hello again\n"
    carried = [m.fstype for m in mounttable.below(mounted.where)]
    assert ("overlay" in carried) == ("native=off" not in mounted.options)


def test_rootfs_of_a_container_equals_what_buildah_mounts(mounted: Mounted, go: GoTools) -> None:
    container = go.buildah("from", "--pull-never", "--name", "buildah-1", debian.IMAGE)
    try:
        theirs = treefacts.of(go.buildah("mount", container))
        ours = treefacts.of(mounted.where / "containers" / container / "rootfs")
        assert treefacts.differences(ours, theirs) == []
    finally:
        go.buildah("rm", container)


@pytest.mark.parametrize("reference", [debian.IMAGE, debian.COPIED])
def test_manifest_and_config_equal_what_skopeo_inspects(
    reference: str, mount_store: MountStore, go: GoTools
) -> None:
    image = mount_store(go.roots).where / "images" / reference
    manifest = go.skopeo("inspect", "--raw", go.image(reference))
    assert (image / "bigdata" / "manifest").read_bytes() == manifest
    assert (image / "manifest").read_bytes() == manifest
    config = go.skopeo("inspect", "--config", "--raw", go.image(reference))
    assert (image / "config").read_bytes() == config


@pytest.mark.parametrize("reference", [debian.IMAGE, debian.COPIED])
def test_changes_equal_what_the_go_tool_says(
    reference: str, mount_store: MountStore, go: GoTools
) -> None:
    layers = mount_store(go.roots).where / "layers"
    for layer in chain(go, reference):
        theirs = gochanges.parse(go.storage("changes", layer))
        ours = json.loads((layers / layer / "changes.json").read_bytes())
        assert gochanges.of_ours(ours) == theirs


def test_layers_of_the_image_are_listed_base_first(mount_store: MountStore, go: GoTools) -> None:
    image = mount_store(go.roots).where / "images" / debian.IMAGE
    links = [image / "layers" / f"{number:02}" for number in range(3)]
    assert [os.path.basename(link.readlink()) for link in links] == chain(go, debian.IMAGE)
    names = sorted(entry.name for entry in (image / "layers").iterdir())
    assert names == ["00", "00.step", "01", "01.step", "02", "02.step"]


def test_layer_tar_is_the_archive_whose_digest_the_go_tool_has_recorded(
    mounted: Mounted, go: GoTools
) -> None:
    """Of the small layers; one of a whole system takes as long as everything else here."""
    layers = [one for one in go.storage_json("layers", "--json") if one["diff-size"] < 16 << 20]
    for layer in layers:
        file = mounted.where / "layers" / layer["id"] / "layer.tar"
        assert file.stat().st_size == layer["diff-size"]
        digest = process.run(["sha256sum", str(file)], timeout=60).stdout.split()[0].decode()
        assert f"sha256:{digest}" == layer["diff-digest"]
        end = process.run(["tail", "-c", "1024", str(file)], timeout=60).stdout
        assert end == bytes(1024), "an archive ends with two empty blocks"
    assert len(layers) > 2
