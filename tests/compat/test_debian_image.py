"""The real image itself: what buildah and skopeo made of it, before anything of ours reads it."""

import json

import pytest

from tests.support import debian, debianfiles
from tests.support.gotools import GoTools, Roots

pytestmark = [pytest.mark.overlay, pytest.mark.gotools, pytest.mark.debian_image]


def test_buildah_made_three_layers_and_skopeo_copied_two_more(debian_store: Roots) -> None:
    go = GoTools(debian_store)
    names = {name for image in go.storage_json("images", "--json") for name in image["names"]}
    assert names == {debian.BASE, debian.MIDDLE, debian.IMAGE, debian.COPIED}
    for name, count in ((debian.IMAGE, 3), (debian.COPIED, 2)):
        manifest = json.loads(go.skopeo("inspect", "--raw", go.image(name)))
        assert len(manifest["layers"]) == count


def test_one_layer_deletes_and_replaces(debian_store: Roots) -> None:
    go = GoTools(debian_store)
    images = go.storage_json("images", "--json")
    top = next(image["layer"] for image in images if debian.IMAGE in image["names"])
    changes = go.storage("changes", top).splitlines()
    assert {f'Delete "/{path}"' for path in debianfiles.DELETED} <= set(changes)
