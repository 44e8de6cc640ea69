"""Manifests and configurations: what strangers may write, and what is refused."""

import json

import pytest

from backend.codec import imageformat

DIGEST = "sha256:" + "1" * 64
OTHER = "sha256:" + "2" * 64
CONFIG = {"mediaType": imageformat.DOCKER_CONFIG, "digest": DIGEST, "size": 3}


def raw(value: object) -> bytes:
    return json.dumps(value).encode()  # noqa: TID251 - not a file of a store


def manifest(**changes: object) -> bytes:
    layer = {"mediaType": imageformat.OCI_LAYER + "+gzip", "digest": DIGEST, "size": 7}
    return raw({"schemaVersion": 2, "config": CONFIG, "layers": [layer], "new": 1, **changes})


def test_a_manifest_says_which_blobs_an_image_has() -> None:
    read = imageformat.parse_manifest(manifest())
    assert read.media_type == imageformat.OCI_MANIFEST
    assert read.config.digest == DIGEST
    assert [(layer.digest, layer.size) for layer in read.layers] == [(DIGEST, 7)]


@pytest.mark.parametrize(
    "bad",
    [
        b"",
        b"[]",
        b"{",
        raw({"schemaVersion": 1}),
        manifest(config=None),
        manifest(layers="x"),
        manifest(layers=[{"digest": "sha256:../../etc/passwd", "size": 1}]),
        manifest(layers=[{"digest": DIGEST, "size": -1}]),
        manifest(layers=[{"digest": DIGEST, "size": "1"}]),
        manifest(layers=[{"digest": DIGEST, "size": 1}] * 5000),
        manifest(manifests=[]),
        manifest(mediaType=imageformat.OCI_INDEX),
    ],
)
def test_a_bad_manifest_is_refused(bad: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        imageformat.parse_manifest(bad)


@pytest.mark.parametrize("bad", [b"null", b"{}x", raw({"rootfs": {"diff_ids": ["sha256:0"]}})])
def test_a_bad_configuration_is_refused(bad: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        imageformat.parse_config(bad)


@pytest.mark.parametrize("bad", [b"{}", raw([1]), raw([{"Layers": ["a"]}]), raw([{"Config": 1}])])
def test_a_bad_list_of_a_docker_archive_is_refused(bad: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        imageformat.parse_docker_archive(bad)


def test_an_index_tells_machines_apart_and_names_images() -> None:
    entry = {
        **CONFIG,
        "platform": {"os": "linux", "architecture": "arm64"},
        "annotations": {imageformat.REF_NAME: "1", imageformat.FULL_NAME: "quay.io/a:1"},
    }
    (read,) = imageformat.parse_index(raw({"manifests": [entry]}))
    assert (read.platform, read.ref_name) == ("linux/arm64", "quay.io/a:1")


def test_a_manifest_keeps_its_bytes_where_its_layers_are_plain_already() -> None:
    read = imageformat.parse_manifest(manifest())
    same = imageformat.plain_layer(read, DIGEST, 7)
    assert imageformat.uncompressed(read, [same]) is read.raw


def test_only_the_layers_of_a_manifest_change_when_they_are_unpacked() -> None:
    read = imageformat.parse_manifest(manifest())
    plain = imageformat.plain_layer(read, OTHER, 10)
    changed = json.loads(imageformat.uncompressed(read, [plain]))
    assert changed["layers"] == [{"mediaType": imageformat.OCI_LAYER, "digest": OTHER, "size": 10}]
    assert (changed["config"], changed["new"]) == (CONFIG, 1)
    docker = imageformat.parse_manifest(manifest(mediaType=imageformat.DOCKER_MANIFEST))
    assert imageformat.plain_layer(docker, OTHER, 1).media_type == imageformat.DOCKER_LAYER
