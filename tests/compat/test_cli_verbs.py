"""The same command lines on twin stores: the Go tool's and ours say and do the same.

Where 1.43, which Debian has, differs from the newest one, or where we differ on purpose, a test of
its own says so.
"""

import json
import os
from pathlib import Path

import pytest

from tests.support import mounttable
from tests.support.commandline import Storagefs
from tests.support.gotools import Roots
from tests.support.twins import Twins, archive, one_driver

pytestmark = [pytest.mark.root, pytest.mark.gotools]


def test_objects_are_created_alike(filled: Twins) -> None:
    filled.same("create-layer")
    filled.same("create-layer", "-j", "-i", "third", "-n", "t", "base")
    filled.same("create-layer", "-i", "third")
    filled.same("create-layer", "-n", "t")
    filled.same("create-layer", "nosuch")
    filled.same("create-layer", "-r", "-i", "fixed", "-j", "")
    filled.same("create-image", "-i", "empty")
    filled.same("create-image", "-j", "-i", "other", "-n", "x", "-n", "y", "")
    filled.same("create-image", "-i", "other")
    filled.same("create-image", "-n", "x")
    filled.same("create-image", "nosuch")
    filled.same("create-container", "-i", "bare", "")
    filled.same("create-container", "-i", "bare", "")
    filled.same("create-container", "-n", "web", "")
    filled.same("create-container", "nosuch")
    filled.fail("create-container")
    filled.same("create-container", "-m", "m", "-f", "/nonexistent", "-i", "never", "")
    filled.same("container", "never")
    filled.same("create-container", "--volatile", "-i", "brief", "")
    filled.same("layers", "-t")


@one_driver
def test_what_is_created_shows_up_alike_in_json(filled: Twins) -> None:
    for words in ("layers -j", "layer -j base top", "images -j", "image -j picture"):
        filled.same(*words.split())
    theirs, ours = filled.both("create-container", "-j", "-i", "c2", "picture")
    assert _without_layer(ours.out) == _without_layer(theirs.out)


def _without_layer(text: bytes) -> dict[str, object]:
    found: dict[str, object] = json.loads(text)
    return {key: value for key, value in found.items() if key != "layer"}


def test_maps_of_ids_are_recorded_alike(twins: Twins) -> None:
    maps = ("--uidmap", "0:1000:10", "--gidmap=0:2000:20")
    twins.same("create-layer", "-i", "mapped", "-j", *maps)
    twins.same("layer", "mapped")
    twins.same("create-layer", "--uidmap", "0:1")
    twins.same("create-layer", "--uidmap", "0:1:1", "--hostuidmap")
    twins.same("create-layer", "--subuidmap", "nobody-of-that-name")
    twins.same("layers")


@one_driver
def test_objects_are_shown_alike(filled: Twins) -> None:
    for words in (
        "layers", "layers -t", "images", "images -q", "layer base", "layer bottom nosuch top",
        "layer -j bottom nosuch", "layer -j nosuch", "layer pict", "image localhost/a:1 picture",
        "image nosuch", "image -j nosuch", "container -j nosuch", "images-by-digest sha256:12",
        f"images-by-digest sha256:{'0' * 64}", f"images-by-digest -j sha256:{'0' * 64}",
        "layer-parent-owners base", "layer-parent-owners -j base top", "layer-parent-owners no",
    ):  # fmt: skip
        filled.same(*words.split())


def test_a_container_is_shown_alike_but_for_its_random_layer(filled: Twins) -> None:
    filled.same("set-container-data", "web", "state", stdin=b"12345")
    filled.same("container", "web")
    filled.same("containers")
    filled.same("containers", "-j")


@one_driver
def test_existence_is_told_alike(filled: Twins) -> None:
    for words in (
        "exists base", "exists nosuch", "exists -l base", "exists -i localhost/a:1",
        "exists -c web", "exists -c nosuch", "exists -q base", "exists -qj base",
        "exists -j base web nosuch", "exists -l ba",
    ):  # fmt: skip
        filled.same(*words.split())


@one_driver
def test_names_are_changed_alike(filled: Twins) -> None:
    for words in (
        "get-names base", "get-names -j base", "get-names web", "get-names -j nosuch",
        "add-names -n more -n bottom base", "add-names -n yet base", "add-names base",
        "add-names -n yet top", "set-names -n only base", "set-names -j base", "get-names -j base",
        "addnames -n localhost/a:1 picture", "get-names picture", "set-names nosuch",
        "images -j", "setnames -j -n web -n www box", "get-names box",
    ):  # fmt: skip
        filled.same(*words.split())


@one_driver
def test_names_that_are_added_stand_in_front_as_in_the_newest_tool(filled: Twins) -> None:
    theirs, ours = filled.both("add-names", "-j", "-n", "new", "top")

    assert json.loads(theirs.out) == ["upper", "new"]
    assert json.loads(ours.out) == ["new", "upper"]


@one_driver
def test_metadata_is_kept_alike(filled: Twins, tmp_path: Path) -> None:
    text = tmp_path / "text"
    text.write_bytes(b"from a file\n")
    for words in (
        ["metadata", "web", "picture", "base"], ["metadata", "-q", "web", "nosuch", "base"],
        ["metadata", "-j", "web", "base", "nosuch"], ["metadata", "nosuch"],
        ["set-metadata", "web"], ["set-metadata", "-m", "x", "nosuch"],
        ["set-metadata", "-m", "new", "base"], ["set-metadata", "-f", str(text), "-m", "y", "web"],
        ["setmetadata", "-f", str(tmp_path / "missing"), "web"], ["set-metadata", "-m", "", "web"],
        ["metadata", "-j", "web", "base"], ["metadata", "web"],
    ):  # fmt: skip
        filled.same(*words)


@one_driver
@pytest.mark.parametrize(("kind", "name"), [("layer", "top"), ("image", "picture")])
def test_data_items_are_kept_alike(filled: Twins, kind: str, name: str) -> None:
    _items(filled, kind, name)
    filled.same(f"{kind}s", "-j")


@one_driver
def test_data_items_of_containers_are_kept_alike(filled: Twins) -> None:
    _items(filled, "container", "web")


def _items(twins: Twins, kind: str, name: str) -> None:
    twins.same(f"list-{kind}-data", name)
    twins.same(f"list-{kind}-data", "-j", name)
    twins.same(f"list-{kind}-data", "nosuch")
    for key in ("manifest", "a b/ü", "=x", "two\nlines", "manifest"):
        twins.same(f"set-{kind}-data", name, key, stdin=key.encode() * 3)
        twins.same(f"get{kind}data", name, key)
    twins.same(f"set-{kind}-data", "nosuch", "x")
    twins.same(f"list{kind}data", name)
    twins.same(f"list-{kind}-data", "-j", name)
    twins.same(f"get-{kind}-data", name, "nosuch")
    twins.fail(f"get-{kind}-data", name)
    if kind != "layer":
        for fact in ("size", "digest"):
            twins.same(f"get-{kind}-data-{fact}", name, "manifest")
            twins.same(f"get{kind}data{fact}", name, "nosuch")
            twins.same(f"get-{kind}-data-{fact}", "nosuch", "manifest")


@one_driver
def test_items_are_read_from_and_written_to_files_alike(filled: Twins, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"\0data\n")
    filled.same("set-image-data", "--file", str(source), "picture", "x")
    target = tmp_path / "target"
    filled.same("get-image-data", "-f", str(target), "picture", "x")
    assert target.read_bytes() == b"\0data\n"


@one_driver
def test_directories_of_containers_are_told_alike(filled: Twins) -> None:
    for verb in ("get-container-dir", "get-container-run-dir", "getcontainerdir"):
        answer = filled.same(verb, "web")
        assert answer.out.endswith(b"/userdata\n")
        filled.same(verb, "nosuch")


def test_objects_are_deleted_alike(filled: Twins) -> None:
    for words in (
        "delete-layer base", "delete-layer top nosuch", "delete-layer -j web picture nosuch",
        "delete-image -j nosuch top", "delete-image -t picture",
        "delete-container -j nosuch", "delete-container picture", "delete-container web",
        "containers", "delete-image -jt picture", "images", "delete-image -j localhost/a:1",
        "layers", "deletelayer base", "delete nosuch", "delete -j nosuch",
    ):  # fmt: skip
        filled.same(*words.split())


def test_anything_is_deleted_alike_whoever_needs_it(filled: Twins) -> None:
    filled.same("delete", "-j", "picture", "web")
    filled.same("delete", "top")
    filled.same("layers")
    filled.same("delete", "base")
    filled.same("layers", "-q" if filled.driver == "none" else "-t")


def test_both_delete_what_is_mounted(filled: Twins) -> None:
    filled.same("mount", "web", "top")
    filled.same("delete-container", "web")
    theirs, ours = filled.both("delete-image", "picture")
    assert ours.out == theirs.err == b"picture: top\npicture: base\n", (
        "results go to standard output"
    )
    filled.same("layers")


@pytest.mark.parametrize(
    "words",
    [
        "nonsense", "layers --nonsense", "layer base", "--nonsense layers", "layer",
        "layers --json=perhaps", "layers -json", "create-layer -i", "layers --help", "layers -h",
        "mount --nonsense x", "mount --help", "exists", "", "-h", "--help", "metadata -xq a",
    ],
)  # fmt: skip
def test_wrong_command_lines_end_alike(tmp_path: Path, words: str) -> None:
    theirs, ours = Twins(tmp_path, "vfs").both(*words.split())

    assert ours.code == theirs.code


def test_the_newest_tool_lists_no_layers_as_null(tmp_path: Path) -> None:
    twins = Twins(tmp_path, "vfs")
    twins.same("create-layer", "-i", "x")
    twins.same("delete", "x")
    theirs, ours = twins.both("layers", "-j")

    assert (theirs.out, ours.out) == (b"[]\n", b"null\n")


@one_driver
def test_more_json_than_that_of_the_go_tool(filled: Twins) -> None:
    ours = filled.ours
    assert json.loads(ours("diffsize", "-j", "top").out) == 0
    assert json.loads(ours("get-container-dir", "-j", "web").out).endswith("/userdata")
    assert ours("containers", "-q").text == "box\n"
    os.stat(json.loads(ours("get-image-dir", "-j", "picture").out))


def test_the_end_of_a_store_is_told_alike(filled: Twins) -> None:
    filled.same("mount", "top")
    filled.same("shutdown", "-j")
    filled.fail("shutdown")
    filled.same("mounted", "top")
    filled.same("unmount", "top")
    filled.same("shutdown", "--json")
    filled.same("layers", "-t")
    filled.same("wipe", "-j")
    filled.same("layers")
    filled.same("images", "-j")
    filled.same("containers")


def test_a_forced_shutdown_that_succeeds_says_so_in_its_exit_code(filled: Twins) -> None:
    """The Go tool exits with 1 all the same; 1.43 with overlay does not even end."""
    ours = filled.ours
    ours("mount", "top")

    assert ours("shutdown", "--force", "-j") == (0, b'""\n', b"")
    assert mounttable.at(ours.roots.graph / "overlay") is None
    assert ours("mounted", "top") == (0, b"", b"")


def test_the_driver_s_own_layers(twins: Twins) -> None:
    """1.43 has none of these verbs: cli.md has the output of the newest."""
    ours = twins.ours
    assert ours("create-layer", "-i", "known").code == 0
    assert ours("create-storage-layer", "-i", "a", "known").text == "a\n"
    assert json.loads(ours("create-storage-layer", "-j", "-i", "b").out) == "b"
    assert ours("create-storage-layer", "nosuch").code == 1
    assert ours("storage-layers").text == "a\nb\nknown\n"
    assert json.loads(ours("storage-layers", "-j").out) == ["a", "b", "known"]
    assert twins.go.storage_json("layers", "-j") == []

    assert ours("gc", "-j") == (0, b'""\n', b"")
    assert ours("storage-layers").text == "known\n"
    assert ours("dedup", "-j").out == b'{"Deduped":0}\n'
    assert ours("dedup", "--hash-method", "md5").code == 1


@one_driver
def test_objects_of_an_additional_store_are_shown_alike(twins: Twins, tmp_path: Path) -> None:
    for tool in (twins.go.roots, twins.ours.roots):
        more = Storagefs(Roots(tool.graph.parent / "more", tool.run.parent / "more-run"), "vfs")
        assert more("create-layer", "-i", "far").code == 0
        assert more("create-image", "-i", "away", "-n", "localhost/far:1", "far").code == 0
    near = [f"--storage-opt=vfs.imagestore={roots.graph.parent}/more" for roots in
            (twins.go.roots, twins.ours.roots)]  # fmt: skip
    for words in (
        "create-layer -i near", "layers", "layer far near", "image localhost/far:1",
        "create-container -i box away", "containers", "images",
    ):  # fmt: skip
        theirs = twins.go.run("containers-storage", near[0], *words.split(), check=False)
        ours = twins.ours(near[1], *words.split())
        assert (ours.code, ours.out) == (theirs.returncode, theirs.stdout), words
    for words in ("delete-layer far", "mount far", "set-layer-data far x", "delete-image nosuch"):
        theirs = twins.go.run("containers-storage", near[0], *words.split(), check=False, stdin=b"")
        ours = twins.ours(near[1], *words.split())
        assert (ours.code, theirs.returncode) == (1, 1), words


def test_a_transient_store_keeps_its_containers_apart(filled: Twins) -> None:
    ours = filled.ours
    assert ours("--transient-store", "create-container", "-i", "brief", "picture").code == 0

    assert ours("containers").text == "box\n\tname: web\n"
    assert ours("containers", "--transient-store", "-q").text == "box\nbrief\n"
    records = ours.roots.run / f"{filled.driver}-containers" / "volatile-containers.json"
    assert json.loads(records.read_bytes())[0]["id"] == "brief"
    assert ours("--transient-store", "delete-container", "brief").code == 0


def test_a_separate_image_store_gets_images_and_read_only_layers(
    twins: Twins, tmp_path: Path
) -> None:
    ours, store = twins.ours, f"--image-store={tmp_path}/images"
    for words in ("create-layer -r -i fixed", "create-layer -i loose", "create-image -i pic fixed"):
        done = ours(store, *words.split())
        assert done.code == 0, done.err

    assert ours("layers").text == "loose\n"
    assert set(ours(store, "layers", "-q").text.split()) == {"fixed", "loose"}
    assert ours(store, "images").text == "pic\n"
    assert (tmp_path / "images" / f"{twins.driver}-images" / "images.json").exists()


@pytest.mark.parametrize(
    ("words", "token"),
    [
        ("layer-parent-owners --nonsense", b"--nonsense"),
        ("delete nosuch", b"layer not known"),
        ("get-names nosuch", b"layer not known"),
        ("create-layer nosuch", b"layer not known"),
        ("create-container nosuch", b"image not known"),
        ("get-container-data nosuch x", b"container not known"),
        ("get-image-data picture x", b"does not exist"),
        ("get-layer-data top x", b"does not exist"),
        ("set-metadata -m x nosuch", b"identifier is not a layer, image, or container"),
        ("delete-layer web", b"identifier is not a layer"),
        ("create-layer -i base", b"already in use"),
        ("create-layer -n bottom", b"already in use"),
        ("create-image -d sha256:1 -i x", b"digest"),
        ("images-by-digest nonsense", b"digest"),
        ("create-layer --uidmap 1:2", b"--uidmap '1:2'"),
        ("create-layer --subuidmap no-such-user", b"/etc/subuid"),
        ("diff -b top", b"bzip2"),
        ("diff -x top", b"xz"),
        ("-s nosuch layers", b"nosuch"),
        ("applydiff top", b"unexpected EOF"),
        ("import-layer -f /nonexistent", b"/nonexistent"),
        ("set-layer-data -f /nonexistent top x", b"/nonexistent"),
        ("unmount nosuch", b"layer not known"),
    ],
)
@one_driver
def test_errors_hold_the_words_that_scripts_look_for(
    filled: Twins, words: str, token: bytes
) -> None:
    stdin = archive(x=b"1" * 2000)[:1500]
    theirs, ours = filled.both(*words.split(), stdin=stdin)

    assert ours.code == theirs.code != 0
    assert token in ours.err
    assert b"Traceback" not in ours.err
