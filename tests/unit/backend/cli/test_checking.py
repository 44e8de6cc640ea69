"""``check`` and ``repair``: what they say, and that only --apply and --repair do something."""

import json
import os
from pathlib import Path

import pytest

from drivers.erase import erase_tree
from tests.support.commandline import Storagefs
from tests.support.gotools import Roots
from tests.support.ociimage import Entry, layer_tar

pytestmark = pytest.mark.root


@pytest.fixture
def storagefs(tmp_path: Path) -> Storagefs:
    """A sound store: an image on two layers, a container."""
    storagefs = Storagefs(Roots(tmp_path / "graph", tmp_path / "run"))
    for words, stdin in (
        ("import-layer -i base", layer_tar([Entry("file", b"text")])),
        ("import-layer -i top base", layer_tar([Entry("more", b"text")])),
        ("create-image -i picture -n localhost/a:1 top", b""),
        ("create-container -i box -n web picture", b""),
    ):
        done = storagefs(*words.split(), stdin=stdin)
        assert done.code == 0, done.err
    return storagefs


def damage(storagefs: Storagefs) -> Path:
    """Change a file of the lower layer behind the store's back."""
    file = storagefs.roots.graph / "vfs" / "dir" / "base" / "file"
    file.write_bytes(b"TEXT")
    return file


def content(storagefs: Storagefs) -> dict[str, int]:
    """Everything in the store, and when it changed."""
    return {str(path): path.lstat().st_mtime_ns for path in storagefs.roots.graph.rglob("*")}


@pytest.mark.parametrize("words", [["check"], ["check", "-q"], ["repair", "--depth", "files"]])
def test_nothing_is_said_of_a_sound_store_and_nothing_happens_to_it(
    storagefs: Storagefs, words: list[str]
) -> None:
    before = content(storagefs)

    assert storagefs(*words) == (0, b"", b"")
    assert content(storagefs) == before


def test_what_is_wrong_stands_under_every_object_that_it_harms(storagefs: Storagefs) -> None:
    damage(storagefs)

    done = storagefs("check")

    headers = [line for line in done.text.splitlines() if not line.startswith(" ")]
    lines = {line for line in done.text.splitlines() if line.startswith(" ")}
    assert done.code == 1
    assert headers == ["layer base:", "image picture:", "container box:"]
    assert all(line.startswith(" layer base: ") for line in lines)
    assert any("file" in line for line in lines)
    assert b"1 layers, 0 read-only layers, 1 images, 0 read-only images, 1 containers" in done.err


def test_findings_are_objects_in_the_groups_of_the_go_tools_json(storagefs: Storagefs) -> None:
    damage(storagefs)

    done = storagefs("check", "--json")

    found = json.loads(done.out)
    assert done.code == 1
    assert list(found)[:5] == ["Layers", "ROLayers", "Images", "ROImages", "Containers"]
    assert list(found["Layers"]) == ["base"]
    assert found["Images"]["picture"] == found["Layers"]["base"]
    faults = {finding["fault"] for finding in found["Layers"]["base"]}
    assert "layer-content" in faults
    assert {finding["id"] for finding in found["Layers"]["base"]} == {"base"}


def test_the_depth_decides_what_is_seen(storagefs: Storagefs) -> None:
    damage(storagefs)

    assert storagefs("check", "--depth", "records").code == 0
    assert storagefs("check", "--depth", "digests").code == 1
    assert storagefs("check", "--quick").code == 1
    assert b"records, digests, files" in storagefs("check", "--depth", "deep").err


def test_a_plan_of_repair_is_shown_and_taken_only_when_asked(storagefs: Storagefs) -> None:
    damage(storagefs)
    before = content(storagefs)

    planned = storagefs("repair", "--containers", "--json")

    assert planned.code == 1
    actions = [(step["action"], step["id"]) for step in json.loads(planned.out)]
    assert actions[:2] == [("delete-container", "box"), ("delete-image", "picture")]
    assert content(storagefs) == before

    assert storagefs("repair", "--depth", "files", "--containers", "--apply").code == 0
    assert storagefs("check") == (0, b"", b"")
    assert storagefs("images").out == storagefs("containers").out == b""


def test_containers_stay_unless_they_are_given_up(storagefs: Storagefs) -> None:
    damage(storagefs)

    done = storagefs("check", "--repair")

    assert done.code == 1
    assert storagefs("exists", "-c", "web").code == 0
    assert storagefs("check", "--force").code == 0
    assert storagefs("exists", "web", "picture", "base").code == 1


def test_a_broken_record_file_is_found_in_the_store(storagefs: Storagefs) -> None:
    path = storagefs.roots.graph / "vfs-images" / "images.json"
    path.write_text("{")

    done = storagefs("check")

    assert done.code == 1
    assert os.fsencode(path) in done.out


def test_the_age_of_layers_that_nothing_needs_is_given_as_in_go(storagefs: Storagefs) -> None:
    storagefs("create-layer", "-i", "lonely")

    assert storagefs("check").code == 0
    assert "layer lonely:" in storagefs("check", "--max", "0s").text.splitlines()
    assert storagefs("check", "-m", "1d").code == 1
    assert b"no length of time" in storagefs("check", "-m", "1d").err


def test_a_layer_without_its_directory_is_found_at_any_depth(storagefs: Storagefs) -> None:
    erase_tree(str(storagefs.roots.graph / "vfs" / "dir" / "top"))

    assert "layer top:" in storagefs("check", "--depth", "records").text.splitlines()


def test_damage_is_told_in_words_for_which_scripts_look(storagefs: Storagefs) -> None:
    graph = storagefs.roots.graph
    for kind, name in (("image", "picture"), ("container", "box"), ("layer", "base")):
        assert storagefs(f"set-{kind}-data", name, "state", stdin=b"text").code == 0
    for directory in ("vfs-layers/base", "vfs-images/picture"):
        (graph / directory / "=c3RhdGU=").unlink(missing_ok=True)
        (graph / directory / "state").unlink(missing_ok=True)
    (graph / "vfs-containers" / "box" / "state").write_bytes(b"longer text")
    (graph / "vfs" / "dir" / "base" / "new file").touch()
    storagefs("create-layer", "-i", "lonely")
    storagefs("create-storage-layer", "-i", "stray")

    lines = storagefs("check", "--max", "0").text.splitlines()

    for words in (
        'layer base: data item "state": layer data item is missing',
        'image picture: data item "state": image data item is missing',
        'container box: data item "state": container data item has incorrect size',
        "layer base: +/new file, layer content modified",
        "layer lonely: layer not referenced by any images or containers",
        "layer stray: layer in lower level storage driver not accounted for",
    ):
        assert any(line.startswith(f" {words}") for line in lines), (words, lines)


def test_what_refers_to_nothing_is_told_in_words_for_which_scripts_look(
    storagefs: Storagefs,
) -> None:
    assert storagefs("delete", "top", "picture").code == 0
    assert storagefs("create-image", "-i", "other", "base").code == 0
    assert storagefs("delete", "base").code == 0

    lines = storagefs("check").text.splitlines()

    for words in (
        "image other: layer base: image layer is missing",
        "container box: image picture: image missing",
    ):
        assert any(line.startswith(f" {words}") for line in lines), (words, lines)


def test_what_a_repair_leaves_names_who_holds_it_in_words_for_which_scripts_look(
    storagefs: Storagefs,
) -> None:
    layer = json.loads(storagefs("container", "--json", "box").out)[0]["layer"]
    assert storagefs("delete", "top", "picture").code == 0

    left = storagefs("check", "--repair").err.decode()

    assert f"layer {layer} used by container box: layer is in use by a container: " in left
    assert "no step mends it; storagefs repair --apply --containers deletes container box" in left
    assert storagefs("check", "--repair", "--force").code == 0
    assert storagefs("check").code == 0
